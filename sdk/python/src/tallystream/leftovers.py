"""What earlier clients of the same API left on disk: taken over one file at a time, the oldest first.

Only one file is open at a time, so that a program that crashed a thousand times does not run out of file handles.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tallystream.errors import SpoolFailed, TallystreamError
from tallystream.ledger import Ledger
from tallystream.spool import DISK_ERRORS, Spool, SpoolDamaged, SpoolInUse, set_aside
from tallystream.spool_folder import is_new, spool_paths


class Leftover(NamedTuple):
    """A file that was found, and how many bytes of events it held."""

    path: Path
    bytes: int


class Leftovers:
    """The files of a folder that no living client owns. `current`: the one that is open; it holds events.

    Owned by one `SpoolSource`, under its lock. What goes wrong with a file is noted and never raised, but by `thin`.
    """

    def __init__(self, folder: Path, ledger: Ledger, note: Callable[[TallystreamError], None]) -> None:
        self._ledger = ledger
        self._note = note
        self._unopened = deque(self._measure(folder))
        self.current: Spool | None = None
        self.open_next()

    @property
    def bytes(self) -> int:
        """Of all events left behind, as far as is known: another client may have taken over a file meanwhile."""
        return (self.current.bytes if self.current else 0) + sum(leftover.bytes for leftover in self._unopened)

    def open_next(self) -> None:
        """Takes over the oldest file that has events, in place of the current one, which the caller has let go of."""
        following = None
        while following is None and self._unopened:
            following = self._open(self._unopened.popleft().path)
        if following is not None:
            self._ledger.add(recovered=following.events)
        self.current = following  # not before: other threads see by it whether anything is left

    def thin(self, size: int, in_flight: int) -> int:
        """Gives up the oldest events of one file until `size` bytes are free; how many. 0: there are no more.

        Args:
            size: in bytes of events.
            in_flight: up to which row the current file's are on their way, and stay.

        Raises:
            sqlite3.Error, OSError: the disk refuses; nothing was given up.
        """
        dropped = self.current.remove_oldest(size, in_flight) if self.current else 0
        if self.current is not None and not self.current.events:
            self.let_go(self.current)
            self.open_next()
        while not dropped and self._unopened:
            spool = self._open(self._unopened.popleft().path)
            if spool is not None:
                dropped = self._thin_unopened(spool, size)
        return dropped

    def let_go(self, spool: Spool) -> None:
        """Closes a file, and deletes it if it is empty."""
        try:
            spool.close()
        except DISK_ERRORS as problem:
            self._note(SpoolFailed(f"{spool.path.name}: {problem}", reason="spool_failed"))

    def _thin_unopened(self, spool: Spool, size: int) -> int:
        try:
            dropped = spool.remove_oldest(size, 0)
            self._ledger.add(recovered=dropped)
            return dropped
        finally:
            if spool.events:
                self._unopened.appendleft(Leftover(spool.path, spool.bytes))
            self.let_go(spool)

    def _measure(self, folder: Path) -> list[Leftover]:
        """Opens one after the other, and closes each again: what a file holds is not to be seen from outside."""
        found: list[Leftover] = []
        for path in spool_paths(folder):
            spool = self._open(path)
            if spool is not None:
                found.append(Leftover(path, spool.bytes))
                self.let_go(spool)
        return found

    def _open(self, path: Path) -> Spool | None:
        """The file with its events; None if a client owns it, or it is empty, which is deleted, or cannot be read."""
        try:
            spool = Spool(path)
            if spool.events:
                return spool
            spool.close(keep=is_new(path))
        except SpoolDamaged as problem:
            with contextlib.suppress(OSError):
                set_aside(path)
            self._note(SpoolFailed(f"{problem}; set aside as .damaged", reason="spool_damaged"))
        except (SpoolInUse, *DISK_ERRORS):
            pass
        return None
