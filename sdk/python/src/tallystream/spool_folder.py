"""Where spools lie: a folder per API, a file per client, named so that they sort by age."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Final

from tallystream.ids import mint_id
from tallystream.spool import Spool, SpoolInUse

NEW_SECONDS: Final = 60.0  # an empty file younger than this may be one that its client is about to open

_SUFFIX: Final = ".sqlite3"


def folder_of(root: Path, url: str) -> Path:
    """The folder of one API's spools. The key is not part of it: after a change of keys the new one sends the rest."""
    return root / hashlib.sha256(url.encode()).hexdigest()[:16]


def create_spool(folder: Path) -> Spool:
    """A new, empty spool.

    Raises:
        OSError, sqlite3.Error: the disk refuses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = folder / f"{mint_id(time.time_ns() // 1_000_000)}{_SUFFIX}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # SQLite's other files get its rights
        with contextlib.suppress(SpoolInUse):  # a client that looks for spools left behind was quicker
            return Spool(path)


def spool_paths(folder: Path) -> list[Path]:
    """Every client's file, the oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def is_new(path: Path) -> bool:
    """Whether an empty file may be one that its client is about to open."""
    return time.time() - path.stat().st_mtime < NEW_SECONDS
