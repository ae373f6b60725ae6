"""Which stack runs on a state directory: the lock that makes it the only one, and `stack.json` about it.

The lock is the truth (it ends with its processes, however they end); the file only says who holds it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from local_runtime.private_files import read_private_json, write_private_json
from local_runtime.process import start_time

FILE_NAME = "stack.json"
LOCK_NAME = "stack.lock"

STARTING, RUNNING, STOPPING = "starting", "running", "stopping"


@dataclass(frozen=True)
class PartEntry:
    """One part as other commands see it."""

    name: str
    pid: int
    started: str
    port: int
    health: str

    def is_alive(self) -> bool:
        """Tell whether this very process still runs, not another one with its pid."""
        return start_time(self.pid) == self.started


@dataclass(frozen=True)
class StackFile:
    """The stack that holds the lock. `started` goes with `pid`, as a pid alone may be another process's."""

    pid: int
    started: str
    boot_id: str
    state: str
    parts: tuple[PartEntry, ...]

    def write(self, state_dir: Path) -> None:
        """Write the file in one step."""
        write_private_json(state_dir / FILE_NAME, asdict(self))

    @classmethod
    def read(cls, state_dir: Path) -> StackFile | None:
        """Return who runs, or None; a file whose process is gone counts as none."""
        content = read_private_json(state_dir / FILE_NAME)
        if content is None:
            return None
        parts = tuple(PartEntry(**part) for part in content.pop("parts"))
        stack = cls(parts=parts, **content)
        return stack if start_time(stack.pid) == stack.started else None


def describe_self(boot_id: str, state: str, parts: Iterable[PartEntry]) -> StackFile:
    """Return the stack whose supervisor is this process."""
    pid = os.getpid()
    return StackFile(pid=pid, started=start_time(pid) or "", boot_id=boot_id, state=state, parts=tuple(parts))


def try_lock(state_dir: Path) -> int | None:
    """Return a descriptor that holds the lock of this state directory, or None when another holds it.

    The lock lasts until every process that inherited the descriptor has closed it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
