"""A small process beside each stack that outlives its supervisor and leaves nothing behind.

It waits until its standard input ends, which happens when the supervisor closes it or dies in any way,
`kill -9` included. Then it kills every process that still belongs to the stack and removes the files that
say it runs. It holds the stack's lock until it is done, so the next start never meets remains of the last one.

`Guardian` is the supervisor's side of it. The process runs this very file, standard library only, as
`python guardian.py MARK PATH...`; each line of input is the id of a process group to end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

# In the environment of every part, so of all its descendants, whatever session or group they moved to.
MARK_VARIABLE = "TALLYSTREAM_STACK_MARK"

SWEEP_PAUSE_SECONDS = 0.02
SWEEP_SECONDS_MAX = 10.0  # a killed process goes at once, unless the kernel waits for its disk

_PROC = Path("/proc")


class Guardian:
    """The guardian of one stack, seen from its supervisor. Owns the process."""

    def __init__(self, mark: str, lock: int, removed_at_end: list[Path]) -> None:
        """Start the process; it shares the lock and will remove the given absolute paths at its end."""
        self._mark, self._removed_at_end = mark, removed_at_end
        self._process = subprocess.Popen(
            # Isolated and without site: it starts in 20 ms and nothing installed can break it.
            [sys.executable, "-I", "-S", __file__, mark, *map(str, removed_at_end)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        """Tell whether it still guards."""
        return self._process.poll() is None

    def watch(self, group: int) -> None:
        """Have it end this process group when the supervisor is gone."""
        self._send(group)

    def forget(self, group: int) -> None:
        """Tell it that the supervisor has ended this group: its id may soon be another's."""
        self._send(-group)

    def close(self) -> None:
        """Have it clean up now, and wait until it has."""
        if self._process.stdin:
            with suppress(BrokenPipeError):  # it was killed: there is nobody to tell
                self._process.stdin.close()
        if self._process.wait() != 0:
            kill_all(self._mark, set())
            remove(self._removed_at_end)

    def _send(self, number: int) -> None:
        if self._process.stdin and self.is_alive():
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()


def find_marked(mark: str) -> list[int]:
    """Return the ids of all living processes started with this mark; empty where there is no /proc."""
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    found = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's and so none of ours
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def kill_all(mark: str, groups: set[int]) -> None:
    """Kill what is left of the groups and of the marked processes, again until none is found."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + SWEEP_SECONDS_MAX
    while (left := find_marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(SWEEP_PAUSE_SECONDS)


def remove(paths: list[Path]) -> None:
    """Remove files and folders that may be gone already."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Guard until the input ends, then clean up."""
    mark, paths = arguments[0], [Path(argument) for argument in arguments[1:]]
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        # A number starts to guard a group, a negative one ends it: the id may soon be another process's.
        number = int(line)
        if number > 0:
            groups.add(number)
        else:
            groups.discard(-number)
    kill_all(mark, groups)
    remove(paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
