"""How long to wait between attempts. Pure: chance is passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 10.0  # an API that is back is noticed within seconds
STANDSTILL_SECONDS: Final = 60.0  # a refused key is asked for again: the API's gateway may remember a refusal for 60 s


def pause_seconds(failures: int, retry_after_seconds: float, uniform: Callable[[float, float], float]) -> float:
    """Seconds to wait after the `failures`-th failure in a row: full jitter, on top of what the server asked for.

    Clients that failed together do not come back together, not even when all were told the same second.
    """
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    return retry_after_seconds + uniform(0.0, ceiling)
