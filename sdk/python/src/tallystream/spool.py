"""Events on disk until the API has them: one SQLite file in WAL mode, a row per batch, owned by one client at a time.

The file is locked for as long as its owner lives; after a crash, `kill -9` included, the lock is gone and the next
client of the same API takes the file over (`spool_folder`). A crash of the machine can cost the last moments and never
the file: SQLite syncs at its checkpoints.
"""

from __future__ import annotations

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


class SpoolInUse(Exception):  # noqa: N818 - a fact, not a failure
    """Another client, in this process or another, owns the file."""


class SpoolDamaged(Exception):  # noqa: N818 - as above
    """The file is no spool, or not readable any more."""


class Row(NamedTuple):
    """One saved batch."""

    seq: int
    taken: Taken


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
        self.events, self.bytes = self._count("seq > ?", 0)

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
            cursor.close()
        return rows

    def remove(self, last_seq: int) -> None:
        """Forgets all batches up to and including this one.

        They are not read again even if the disk refuses; the next removal then takes them along.
        """
        with GATE:
            self._forget("seq > ? AND seq <= ?", self._removed_seq, last_seq)
            self._removed_seq = last_seq
            self._connection.execute("DELETE FROM batches WHERE seq <= ?", (last_seq,))
            if not self.events and self.path.stat().st_size > SHRINK_BYTES:
                # `execute` would free a single page: it takes a statement without columns to be done at its first step.
                self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

    def remove_oldest(self, size: int, after_seq: int) -> int:
        """Gives up the oldest batches behind `after_seq` until `size` bytes are free; how many events they held."""
        with GATE:
            after_seq = max(after_seq, self._removed_seq)
            before, freed, last_seq = self.events, 0, after_seq
            cursor = self._connection.execute("SELECT seq, bytes FROM batches WHERE seq > ? ORDER BY seq", (after_seq,))
            for seq, row_bytes in cursor:
                last_seq, freed = seq, freed + row_bytes
                if freed >= size:
                    break
            cursor.close()
            self._forget("seq > ? AND seq <= ?", after_seq, last_seq)
            self._connection.execute("DELETE FROM batches WHERE seq > ? AND seq <= ?", (after_seq, last_seq))
            return before - self.events

    def close(self, *, keep: bool = False) -> None:
        """Lets go of the file; deletes it when it is empty, unless it is to be kept."""
        with GATE:
            if not self.events and not keep:
                _delete_files(self.path)  # while the lock is held: nobody else can have begun to use it
            self._connection.close()

    def _count(self, condition: str, *bounds: int) -> tuple[int, int]:
        sums = f"SELECT coalesce(sum(events), 0), coalesce(sum(bytes), 0) FROM batches WHERE {condition}"  # noqa: S608
        events, size = self._connection.execute(sums, bounds).fetchone()
        return events, size

    def _forget(self, condition: str, *bounds: int) -> None:
        events, size = self._count(condition, *bounds)
        self.events -= events
        self.bytes -= size


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


def _delete_files(path: Path) -> None:
    """Removes a spool's files, those that exist."""
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
