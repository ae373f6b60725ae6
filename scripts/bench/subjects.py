"""Programs that are measured in turns: each a process that is started once and then takes one job after the other."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from local_runtime.settings import REPOSITORY
from scripts.failures import GaveUp

RIVALS: Final = Path(__file__).parent / "rivals"
RIVALS_PYTHON: Final = REPOSITORY / ".tallystream" / "venvs" / "bench" / "bin" / "python"
ERROR_CHARACTERS_MAX: Final = 2_000


class Subject:
    """One program. `pid`: of its process; `errors`: what it wrote to its standard error."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", errors: IO[str]) -> None:
        self.name = name
        self.pid = process.pid
        self._process, self._errors = process, errors
        self._read()  # it says that it is ready: what it imports is not measured

    def run(self, **job: Any) -> dict[str, Any]:
        """Its answer to one job.

        Raises:
            GaveUp: it ended, or says that something failed.
        """
        assert self._process.stdin is not None  # noqa: S101 - as it was opened
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if answer.get("failed"):
            raise GaveUp(f"{self.name}: {answer['failed']}")
        return answer

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - as above
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            raise GaveUp(f"{self.name} ended with {code}:\n{self._errors.read()[-ERROR_CHARACTERS_MAX:]}")
        document: dict[str, Any] = json.loads(line)
        return document


@contextmanager
def running(name: str, command: Sequence[str], variables: Mapping[str, str] | None = None) -> Iterator[Subject]:
    """A program for as long as the block lasts. `variables`: its whole environment but for PATH; None inherits ours."""
    environment = {"PATH": os.defpath, **variables} if variables else None
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )
        with process:
            try:
                yield Subject(name, process, errors)
            finally:
                process.kill()


def rival_command(program: str) -> list[str]:
    """How a program of `rivals` is started, in the environment of the rivals."""
    return [str(RIVALS_PYTHON), str(RIVALS / f"{program}.py")]


def own_command(module: str) -> list[str]:
    """How one of ours is started."""
    return [sys.executable, "-m", module]
