"""Where the sender finds lines: straight from memory; through the spool on disk it is `spool_source`."""

from __future__ import annotations

from typing import Protocol

from tallystream.limits import Limits
from tallystream.memory_queue import MemoryQueue, Taken
from tallystream.sender import Supply


class Source(Supply, Protocol):
    """A supply that also says when to send. Owned by one sender; what waits may be read by any thread."""

    def waiting(self) -> tuple[int, int]:
        """How many events wait, and their bytes."""

    def oldest_at(self) -> float:
        """When the oldest of them came, by the monotonic clock."""


class MemorySource:
    """Straight from the queue."""

    def __init__(self, queue: MemoryQueue, limits: Limits) -> None:
        self._queue = queue
        self._limits = limits

    def waiting(self) -> tuple[int, int]:
        """See `Source`."""
        return len(self._queue), self._queue.bytes

    def oldest_at(self) -> float:
        """See `Source`."""
        return self._queue.oldest_at

    def take(self) -> Taken | None:
        """See `Supply`."""
        return self._queue.take(self._limits.batch_events, self._limits.batch_bytes)

    def done(self) -> None:
        """Nothing is left to do: taken lines are out of the queue."""
