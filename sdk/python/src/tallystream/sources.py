"""Where the sender finds lines: straight from memory, or through the spool on disk."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import Protocol

from tallystream.errors import EventsDropped, SpoolFailed
from tallystream.ledger import Ledger
from tallystream.limits import Limits, Overflow
from tallystream.memory_queue import MemoryQueue, Taken
from tallystream.sender import Supply
from tallystream.spool import Spool

DISK_ERRORS = (sqlite3.Error, OSError)


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


class SpoolSource:
    """From disk: first what earlier clients left behind, then our own file, last what the disk would not take."""

    def __init__(self, own: Spool, adopted: list[Spool], limits: Limits, overflow: Overflow, ledger: Ledger) -> None:
        self._own = own
        self._spools = [*adopted, own]
        self._limits = limits
        self._overflow = overflow
        self._ledger = ledger
        self._unsaved: Taken | None = None
        self._taken_from: tuple[Spool, int] | None = None
        self._lock = threading.Lock()
        self._oldest_at = time.monotonic()

    @property
    def has_unsaved(self) -> bool:
        """Whether a batch waits in memory for the disk: take no further one until it does not."""
        return self._unsaved is not None

    @property
    def has_adopted(self) -> bool:
        """Whether events of earlier clients are still to be sent."""
        return len(self._spools) > 1

    def save(self, taken: Taken) -> None:
        """Puts a batch on disk; where that fails it stays in memory and is tried again by `save_again`."""
        with self._lock:
            self._unsaved = taken
        self.save_again()

    def save_again(self) -> None:
        """Tries once more what is unsaved."""
        with self._lock:
            if self._unsaved is None or not self._has_room(self._unsaved):
                return
            try:
                was_empty = self._own.events == 0
                self._own.append(self._unsaved)
            except DISK_ERRORS as problem:
                self._ledger.tell(SpoolFailed(str(problem), reason="spool_failed", count=len(self._unsaved.lines)))
                return
            self._unsaved = None
            if was_empty:
                self._oldest_at = time.monotonic()

    def waiting(self) -> tuple[int, int]:
        """See `Source`."""
        unsaved = self._unsaved
        events = sum(spool.events for spool in self._spools) + (len(unsaved.lines) if unsaved else 0)
        return events, sum(spool.bytes for spool in self._spools)

    def saved(self) -> int:
        """How many events are on disk."""
        return sum(spool.events for spool in self._spools)

    def oldest_at(self) -> float:
        """See `Source`."""
        return self._oldest_at

    def take(self) -> Taken | None:
        """See `Supply`."""
        with self._lock:
            for spool in self._spools:
                rows = spool.read(self._limits.batch_events, self._limits.batch_bytes) if spool.events else []
                if rows:
                    self._taken_from = (spool, rows[-1].seq)
                    position = rows[-1].taken.position if spool is self._own else 0
                    return Taken([line for row in rows for line in row.taken.lines], position)
            unsaved, self._unsaved = self._unsaved, None
            return unsaved

    def done(self) -> None:
        """Forgets them on disk; a file that an earlier client left and that is empty now is deleted."""
        with self._lock:
            if self._taken_from is None:
                return
            (spool, last_seq), self._taken_from = self._taken_from, None
            try:
                spool.remove(last_seq)
                if not spool.events and spool is not self._own:
                    self._spools.remove(spool)
                    spool.close()
            except DISK_ERRORS as problem:  # a next process may send them once more; they count once
                self._ledger.tell(SpoolFailed(str(problem), reason="spool_failed"))
            self._oldest_at = time.monotonic()

    def close(self) -> int:
        """Lets go of the files; how many events are on none of them."""
        self.save_again()
        with self._lock:
            for spool in self._spools:
                with contextlib.suppress(*DISK_ERRORS):
                    spool.close()
            return len(self._unsaved.lines) if self._unsaved else 0

    def _has_room(self, taken: Taken) -> bool:
        size = sum(map(len, taken.lines)) + len(taken.lines)
        missing = self._own.bytes + size - self._limits.spool_bytes
        if missing <= 0 or not self._own.events:
            return True
        if self._overflow != "drop_oldest":
            return False
        in_flight = self._taken_from[1] if self._taken_from and self._taken_from[0] is self._own else 0
        dropped = self._own.remove_oldest(missing, in_flight)
        if dropped:
            self._ledger.add(dropped=dropped)
            message = f"the spool holds {self._limits.spool_bytes} bytes at most"
            self._ledger.tell(EventsDropped(message, reason="spool_full", count=dropped))
        return self._own.bytes + size <= self._limits.spool_bytes
