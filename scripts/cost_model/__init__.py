"""What Tallystream costs on AWS: pure arithmetic over list prices and measured figures, both kept as data.

`prices` reads `prices.json` (each price with its source and date), `workloads` says what is sent and with which
choices, `bill` is the arithmetic; `scripts.cost` prints it.
"""
