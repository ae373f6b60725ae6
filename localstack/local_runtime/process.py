"""One part as a child process: in a session of its own, its output in a log file, stopped with a deadline.

Decides nothing about order or readiness; `stack` does. What survives a killed supervisor is the guardian's.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local_runtime.parts import Part

TAIL_LINES = 20  # enough for a traceback with its message, few enough to stand on a screen


class ChildProcess:
    """A running part. Owns the process and its group; the log file stays after it for people to read."""

    def __init__(self, part: Part, log_path: Path, work_dir: Path, extra_environment: Mapping[str, str]) -> None:
        """Start the part in the given working directory.

        Raises:
            OSError: when the command cannot be run; nothing is left then.
        """
        self.part = part
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                part.command,
                env={**part.environment, **extra_environment},
                cwd=work_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches the supervisor only, which stops the parts in their order;
                # and the session's group ends a part together with its workers.
                start_new_session=True,
            )
        self._is_ended = False
        self.pid = self._process.pid
        self.started = start_time(self.pid) or ""

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal), or None while the part runs."""
        return self._process.poll()

    def tail(self) -> str:
        """Return the last lines that the part wrote."""
        with self.log_path.open(encoding="utf-8", errors="replace") as log:
            return "".join(deque(log, TAIL_LINES)).rstrip()

    def ask_to_end(self) -> None:
        """Send SIGTERM and return at once; nothing happens when the part ended before."""
        if self.exit_code() is None:
            self._process.terminate()

    def stop(self) -> None:
        """End the part and its group: SIGTERM, then SIGKILL when its time is over. Safe to call again."""
        if self._is_ended:
            return
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self.part.stop_seconds_max)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the whole group, workers of a part that died before included, and reap the part."""
        if self._is_ended:
            return  # its group's id may be another's by now
        # The group may be empty; macOS says PermissionError of one that is not reaped yet.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._is_ended = True


def start_time(pid: int) -> str | None:
    """Return when the process started, in a form only good for comparing, or None when it does not run.

    A pid alone may by now be another process's.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # After the name, which may hold anything, comes the state; field 22 of proc(5) is the start.
            state, *rest = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state == "Z" else rest[18]
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None
