"""How much a long form does: as many cases as it names, fewer where the machine is slow. How many they were is told.

Each bears its own count and its own time, so that all of them together end on any machine.
"""

import time
from collections.abc import Callable, Iterator

CASES = "cases of a long form"  # the property of a test's report that says how many there were

Record = Callable[[str, object], None]


def cases_within(
    cases_max: int, what: str, seconds_max: float, record: Record, clock: Callable[[], float] = time.monotonic
) -> Iterator[int]:
    """Count cases from 1. None begins once the time is over, but the first; one that has begun may take its time.

    `record`: pytest's `record_property`; it gets the count, of `what`, when all have passed.
    """
    began, done = clock(), 0
    while done < cases_max and (done == 0 or clock() - began < seconds_max):
        done += 1
        yield done
    record(CASES, f"{done} of at most {cases_max} {what} in {clock() - began:.0f} s")
