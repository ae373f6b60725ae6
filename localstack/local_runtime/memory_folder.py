"""A folder in memory, where this machine has room for it: for stacks that live as long as a test or a chaos run.

Every Lambda worker of such a stack unpacks 1,700 files; on a disk that takes several times as long. `kill -9` ends
processes and not files, so what has to survive it does so here as well.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - folders of our own are made in it # nosec B108
FREE_BYTES_MIN = 6 * 1024**3  # the tests in parallel and a chaos run each need up to a third


def find_memory_folder(folder: Path = MEMORY_FOLDER, free_bytes_min: int = FREE_BYTES_MIN) -> Path | None:
    """Return the folder, None where there is no such, too little of it, or none from which a program may be started."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return None
    may_execute = not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)
    return folder if may_execute and shutil.disk_usage(folder).free > free_bytes_min else None
