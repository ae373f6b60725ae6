"""Starts pip and venv with their words going to a log, and ends them all when the command is stopped."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

# A cut download ends pip; what came through whole is in its cache. Before the second and third attempt:
RETRY_PAUSES_SECONDS = (1.0, 3.0)
LOG_LINES_SHOWN = 12  # pip names the cause in its last lines
LOG_TAIL_BYTES = 8192  # enough for those lines; a log of years is not read whole


class SetupFailed(RuntimeError):  # noqa: N818 - a name, not a grade
    """A step could not be completed; the message is for the person, with the last lines of the log."""


class SetupRefused(RuntimeError):  # noqa: N818 - a name, not a grade
    """This machine or a file of the person is in the way; the message says what to do. Nothing changed."""


class Programs:
    """The programs of one run, shared by its threads. They end with `stop`, and none starts after it."""

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        inherited_descriptor: int,
        retry_pauses_seconds: Sequence[float] = RETRY_PAUSES_SECONDS,
    ) -> None:
        """Keep what every program gets; `inherited_descriptor` is the lock, held until the last one ends."""
        self.retry_pauses_seconds = tuple(retry_pauses_seconds)
        self._root = root
        self._environment = environment
        self._inherited_descriptor = inherited_descriptor
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: Sequence[str], log: Path) -> int:
        """Return the exit code; what the program prints is appended to the log.

        Raises:
            SetupFailed: the run is being stopped.
        """
        with log.open("ab") as output:
            output.write(f"\n$ {' '.join(command)}\n".encode())
            output.flush()
            process = self._start(command, output.fileno())
            try:
                return process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)

    def run_or_fail(self, command: Sequence[str], log: Path, doing: str) -> None:
        """Run a program that must succeed.

        Raises:
            SetupFailed: with the end of the log.
        """
        if self.run(command, log):
            raise SetupFailed(describe_failure(doing, log))

    @property
    def is_stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until `stop`."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """End every program of this run."""
        with self._lock:
            self._stopping.set()
            for process in self._running:
                process.terminate()

    def _start(self, command: Sequence[str], output: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopping.is_set():
                raise SetupFailed("stopped")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=self._root,
                pass_fds=(self._inherited_descriptor,),
            )
            self._running.add(process)
            return process


def read_log_tail(log: Path) -> list[str]:
    """Return the last lines of a log, oldest first; empty when there is none yet."""
    try:
        with log.open("rb") as source:
            source.seek(max(log.stat().st_size - LOG_TAIL_BYTES, 0))
            return source.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def describe_failure(doing: str, log: Path) -> str:
    """Return what failed, the end of its log, and what to do."""
    quoted = "\n".join(f"    {line}" for line in read_log_tail(log)[-LOG_LINES_SHOWN:] if line)
    return (
        f"{doing} failed; the last lines of {log}:\n{quoted}\n"
        "Run the same command again: it goes on from here. "
        "If it fails again, look at the network, the proxy and pip's index (PIP_INDEX_URL)."
    )
