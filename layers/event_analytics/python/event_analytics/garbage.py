"""How often Python looks for cycles of garbage: rarely, in functions that hold thousands of records for a moment.

A batch of 10,000 records makes some 100,000 objects that all live until its end and die without a cycle. With Python's
own thresholds (700, 10, 10) the collector walks through them a hundred times and finds nothing: half of what `load`
did (docs/decisions/0022). What is left to it are the few cycles of clients and exceptions.
"""

import gc
from typing import Final

# Objects that may be added before the youngest, and such rounds before the older and the oldest are looked at.
_THRESHOLDS: Final = (50_000, 20, 50)


def collect_rarely() -> None:
    """Leave what has been imported out of every later collection, and collect a seventieth as often."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
