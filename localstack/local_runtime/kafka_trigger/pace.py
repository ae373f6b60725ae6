"""When a mapping asks the broker again: at once while it is behind, else a few times within its window.

A fetch costs 1 to 2 ms of CPU here and as much at the broker, however little it brings; while producers write, each
brings the records of a request or two. A mapping that lets batches fill gains nothing from asking so often.
"""

from __future__ import annotations

from collections.abc import Iterable

from local_runtime.kafka_trigger.positions import Fetched

FETCHES_PER_WINDOW = 10  # a record waits a tenth of its window longer, at most
PAUSE_SECONDS_MAX = 0.25  # how long a longer window may leave lag and stuck records unseen
FULL_FETCH_BYTES = 1_048_576  # compressed: from here on the mapping is behind


class Pace:
    """Of one mapping. Clocks are passed in, in seconds."""

    def __init__(self, window_ms: int) -> None:
        self._pause = min(PAUSE_SECONDS_MAX, window_ms / 1_000 / FETCHES_PER_WINDOW)
        self._due = 0.0

    def seconds_until_due(self, now: float) -> float:
        """Return how long the next fetch can wait: 0 when it is due."""
        return max(0.0, self._due - now)

    def note(self, fetched: Iterable[Fetched], now: float) -> None:
        """Take in what a fetch has brought. One that brought nothing has waited at the broker already."""
        size = sum(len(batch.payload) for part in fetched for batch in part.batches)
        if 0 < size < FULL_FETCH_BYTES:
            self._due = now + self._pause
