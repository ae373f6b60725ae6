"""What may be asked, one module per question: its SQL, its parameters, and how rows become the answer.

`catalog` lists them all; routes, CSV columns, OpenAPI and cache keys follow from it.
"""
