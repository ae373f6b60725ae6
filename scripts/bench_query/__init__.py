"""How long each question takes at a hundred million events: makes them up inside ClickHouse once, then asks.

`generation` is the SQL of the events, `building` runs it, `asked` lists the questions, `measuring` asks them through
the store and through the query function, `report` prints and keeps what came out.
"""
