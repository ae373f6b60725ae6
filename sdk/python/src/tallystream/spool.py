"""Events on disk until the API has them: one SQLite file in WAL mode, a row per batch, owned by one client at a time.

The file is locked for as long as its owner lives; after a crash, `kill -9` included, the lock is gone and the next
client of the same API takes the file over (`spool_folder`). A crash of the machine can cost the last moments and never
the file: SQLite syncs at its checkpoints.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from tallystream.forking import GATE
from tallystream.memory_queue import Taken

_PRAGMAS: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",  # before WAL: no shared memory file, and no other process
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
)
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS batches
(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL
)
"""
SHRINK_BYTES: Final = 8 * 1024 * 1024  # an empty file larger than this gives its pages back
SUFFIXES: Final = ("", "-wal", "-shm")
DISK_ERRORS: Final = (sqlite3.Error, OSError)
_DELETES_OPEN_FILES: Final = os.name != "nt"


class SpoolInUse(Exception):  # noqa: N818 - a fact, not a failure
    """Another client, in this process or another, owns the file."""


class SpoolDamaged(Exception):  # noqa: N818 - as above
    """The file is no spool, or not readable any more."""


class Row(NamedTuple):
    """One saved batch."""

    seq: int
    taken: Taken


class _Size(NamedTuple):
    seq: int
    events: int
    bytes: int


class Spool:
    """One existing file. Every method is safe for any number of threads; each is one transaction.

    Raises:
        SpoolInUse, SpoolDamaged: on opening.
        sqlite3.Error, OSError: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _open(path)
        self._removed_seq = 0
        self._given: list[_Size] = []
        self.events, self.bytes = _count(self._connection, path)

    def append(self, taken: Taken) -> None:
        """Saves a batch behind all others."""
        body = b"\n".join(taken.lines)
        with GATE:
            self._connection.execute(
                "INSERT INTO batches (events, bytes, position, body) VALUES (?, ?, ?, ?)",
                (len(taken.lines), len(body), taken.position, body),
            )
            self.events += len(taken.lines)
            self.bytes += len(body)

    def read(self, events_max: int, bytes_max: int) -> list[Row]:
        """The oldest batches not removed, at least one if there is any, within the bounds."""
        rows: list[Row] = []
        sizes: list[_Size] = []
        with GATE:
            cursor = self._connection.execute(
                "SELECT seq, events, bytes, position, body FROM batches WHERE seq > ? ORDER BY seq",
                (self._removed_seq,),
            )
            for seq, events, size, position, body in cursor:
                events_max -= events
                bytes_max -= size + 1
                if rows and (events_max < 0 or bytes_max < 0):
                    break
                rows.append(Row(seq, Taken(body.split(b"\n"), position)))
                sizes.append(_Size(seq, events, size))
            cursor.close()
        self._given = sizes
        return rows

    def remove(self, last_seq: int) -> None:
        """Forgets those of the batches read last that come up to this one, and it.

        They are not read again even if the disk refuses; the next removal then takes them along.
        """
        with GATE:
            self._forget([size for size in self._given if size.seq <= last_seq])
            self._given = [size for size in self._given if size.seq > last_seq]
            self._removed_seq = last_seq
            self._connection.execute("DELETE FROM batches WHERE seq <= ?", (last_seq,))
            if not self.events and self.path.stat().st_size > SHRINK_BYTES:
                # `execute` would free a single page: it takes a statement without columns to be done at its first step.
                self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def remove_oldest(self, size: int, after_seq: int) -> int:
        """Gives up the oldest batches behind `after_seq` until `size` bytes are free; how many events they held."""
        with GATE:
            after_seq = max(after_seq, self._removed_seq)
            oldest: list[_Size] = []
            cursor = self._connection.execute(
                "SELECT seq, events, bytes FROM batches WHERE seq > ? ORDER BY seq", (after_seq,)
            )
            while size > 0 and (row := cursor.fetchone()) is not None:
                oldest.append(_Size(*row))
                size -= oldest[-1].bytes
            cursor.close()
            if not oldest:
                return 0
            last_seq = oldest[-1].seq
            self._connection.execute("DELETE FROM batches WHERE seq > ? AND seq <= ?", (after_seq, last_seq))
            self._forget(oldest)  # counted once they are gone: a file that counts none is deleted
            return sum(row.events for row in oldest)

    def close(self, *, keep: bool = False) -> None:
        """Lets go of the file; deletes it when it is empty, unless it is to be kept."""
        is_done = not self.events and not keep
        with GATE:
            try:
                if is_done and _DELETES_OPEN_FILES:
                    _delete_files(self.path)  # while the lock is held: nobody else can have begun to use it
            finally:
                self._connection.close()
            if is_done and not _DELETES_OPEN_FILES:
                with contextlib.suppress(PermissionError):  # somebody began to use it: there it cannot be deleted then
                    _delete_files(self.path)

    def set_aside(self) -> None:
        """Lets go of a file that cannot be read, under a name that no client looks for."""
        with GATE:
            self._connection.close()
            set_aside(self.path)

    def _forget(self, sizes: list[_Size]) -> None:
        self.events -= sum(size.events for size in sizes)
        self.bytes -= sum(size.bytes for size in sizes)


def _open(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"  # never creates: what was deleted meanwhile stays deleted
    connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        connection.execute("BEGIN IMMEDIATE")  # takes the lock that this connection then keeps
        connection.execute(_TABLE)
        connection.execute("COMMIT")
    except sqlite3.OperationalError as problem:
        connection.close()
        if "locked" in str(problem):
            raise SpoolInUse(str(path)) from None
        raise
    except sqlite3.DatabaseError as problem:
        connection.close()
        raise SpoolDamaged(f"{path}: {problem}") from problem
    return connection


def _count(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    try:
        sums = connection.execute("SELECT coalesce(sum(events), 0), coalesce(sum(bytes), 0) FROM batches").fetchone()
    except sqlite3.Error as problem:
        connection.close()
        if is_damage(problem):
            raise SpoolDamaged(f"{path}: {problem}") from problem
        raise
    events, size = sums
    return events, size


def is_damage(problem: Exception) -> bool:
    """Whether SQLite found the file damaged. Its other errors are of subclasses: the disk refuses, for now."""
    return type(problem) is sqlite3.DatabaseError


def set_aside(path: Path) -> None:
    """Renames a closed spool's files, those that exist, to `.damaged`: for a person to look at."""
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(f"{path.stem}.damaged{suffix}"))


def _delete_files(path: Path) -> None:
    """Removes a spool's files, those that exist."""
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
