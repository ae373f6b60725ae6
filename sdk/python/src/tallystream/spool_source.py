"""Where the sender finds lines when there is a disk: what earlier clients left, our own file, what the disk refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tallystream.errors import EventsDropped, SpoolFailed, TallystreamError
from tallystream.ledger import Ledger
from tallystream.leftovers import Leftovers
from tallystream.limits import Limits, Overflow
from tallystream.memory_queue import Taken
from tallystream.spool import DISK_ERRORS, Spool, is_damage
from tallystream.spool_folder import create_spool

Note = Callable[[TallystreamError], None]


class SpoolSource:
    """From disk: first what earlier clients left behind, then our own file, last what the disk would not take.

    What goes wrong is noted under locks, so `note` keeps it and whoever holds none of them tells it.

    Raises:
        OSError, sqlite3.Error: on opening; the disk refuses.
    """

    def __init__(self, folder: Path, limits: Limits, overflow: Overflow, ledger: Ledger, note: Note) -> None:
        self._folder = folder
        self._limits = limits
        self._overflow = overflow
        self._ledger = ledger
        self._note = note
        self._own: Spool | None = create_spool(folder)
        self._leftovers = Leftovers(folder, ledger, note)
        self._unsaved: Taken | None = None
        self._taken_from: tuple[Spool, int] | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self._oldest_at = time.monotonic()
        self.has_unsaved_in_hand = False
        """Whether the batch taken last is on no disk."""

    @property
    def has_unsaved(self) -> bool:
        """Whether a batch waits in memory for the disk: take no further one until it does not."""
        return self._unsaved is not None

    @property
    def has_adopted(self) -> bool:
        """Whether events of earlier clients are still to be sent."""
        return self._leftovers.current is not None

    def save(self, taken: Taken) -> None:
        """Puts a batch on disk; where that fails it stays in memory and is tried again by `save_again`."""
        with self._lock:
            self._unsaved = taken
        self.save_again()

    def save_again(self) -> None:
        """Tries once more what is unsaved."""
        with self._lock:
            taken = self._unsaved
            if taken is None or self._is_closed:
                return
            try:
                if self._has_room(taken):
                    self._append(taken)
                    self._unsaved = None
            except DISK_ERRORS as problem:
                self._note(SpoolFailed(str(problem), reason="spool_failed", count=len(taken.lines)))

    def waiting(self) -> tuple[int, int]:
        """See `Source`."""
        unsaved, spools = self._unsaved, self._spools()
        events = sum(spool.events for spool in spools) + (len(unsaved.lines) if unsaved else 0)
        return events, sum(spool.bytes for spool in spools)

    def saved(self) -> int:
        """How many events are on disk, but for files of earlier clients that are not taken over yet."""
        return sum(spool.events for spool in self._spools())

    def unsaved(self) -> int:
        """How many events wait in memory for the disk."""
        unsaved = self._unsaved
        return len(unsaved.lines) if unsaved else 0

    def oldest_at(self) -> float:
        """See `Source`."""
        return self._oldest_at

    def take(self) -> Taken | None:
        """See `Supply`."""
        with self._lock:
            if self._is_closed:
                return None
            while (spool := self._oldest_spool()) is not None:
                try:
                    return self._read(spool)
                except DISK_ERRORS as problem:
                    self._set_aside(spool, problem)
            unsaved, self._unsaved = self._unsaved, None
            self.has_unsaved_in_hand = unsaved is not None
            return unsaved

    def done(self) -> None:
        """Forgets them on disk; a file that an earlier client left and that is empty now is deleted."""
        with self._lock:
            self.has_unsaved_in_hand = False
            if self._taken_from is None or self._is_closed:
                return
            (spool, last_seq), self._taken_from = self._taken_from, None
            try:
                spool.remove(last_seq)
            except DISK_ERRORS as problem:  # a next process may send them once more; they count once
                self._note(SpoolFailed(str(problem), reason="spool_failed"))
            if spool is self._leftovers.current and not spool.events:
                self._leftovers.let_go(spool)
                self._leftovers.open_next()
            self._oldest_at = time.monotonic()

    def close(self) -> int:
        """Lets go of the files; how many events of those that are not in hand are on none of them."""
        self.save_again()
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                for spool in self._spools():
                    self._leftovers.let_go(spool)
            return self.unsaved()

    def _spools(self) -> list[Spool]:
        return [spool for spool in (self._leftovers.current, self._own) if spool is not None]

    def _oldest_spool(self) -> Spool | None:
        return next((spool for spool in self._spools() if spool.events), None)

    def _read(self, spool: Spool) -> Taken:
        rows = spool.read(self._limits.batch_events, self._limits.batch_bytes)
        if not rows:
            raise OSError(f"{spool.events} events are missing")
        self._taken_from = (spool, rows[-1].seq)
        position = rows[-1].taken.position if spool is self._own else 0
        return Taken([line for row in rows for line in row.taken.lines], position)

    def _append(self, taken: Taken) -> None:
        if self._own is None:
            self._own = create_spool(self._folder)
        was_empty = not self._own.events
        try:
            self._own.append(taken)
        except DISK_ERRORS as problem:
            if is_damage(problem):
                self._set_aside(self._own, problem)
            raise
        if was_empty:
            self._oldest_at = time.monotonic()

    def _set_aside(self, spool: Spool, problem: Exception) -> None:
        """What cannot be read must not stand before what can, neither now nor after the next start."""
        lost = spool.events
        message = f"{spool.path.name}: {problem}; set aside as .damaged"
        try:
            spool.set_aside()
        except DISK_ERRORS as refusal:
            message = f"{spool.path.name}: {problem}; and {refusal}"
        if spool is self._own:
            self._own = None
        else:
            self._leftovers.open_next()
        self._ledger.add(dropped=lost)
        self._note(SpoolFailed(message, reason="spool_damaged", count=lost))

    def _has_room(self, taken: Taken) -> bool:
        size = sum(map(len, taken.lines)) + len(taken.lines)
        if self._overflow == "drop_oldest":
            self._make_room(size)
        return not self._missing(size)

    def _missing(self, size: int) -> int:
        """How many bytes are too many with so many more. A folder without events takes a batch of any size."""
        held = self._leftovers.bytes + (self._own.bytes if self._own else 0)
        return max(held + size - self._limits.spool_bytes, 0) if held else 0

    def _make_room(self, size: int) -> None:
        total = 0
        try:
            while (missing := self._missing(size)) and (dropped := self._drop_oldest(missing)):
                total += dropped
        finally:
            if total:
                self._ledger.add(dropped=total)
                message = f"the spool holds {self._limits.spool_bytes} bytes at most"
                self._note(EventsDropped(message, reason="spool_full", count=total))

    def _drop_oldest(self, size: int) -> int:
        current = self._leftovers.current
        dropped = self._leftovers.thin(size, self._in_flight(current))
        if not dropped and self._own is not None:
            dropped = self._own.remove_oldest(size, self._in_flight(self._own))
        return dropped

    def _in_flight(self, spool: Spool | None) -> int:
        return self._taken_from[1] if self._taken_from and self._taken_from[0] is spool else 0
