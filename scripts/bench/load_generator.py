"""The sender as its parent sees it: a child process that takes jobs and tells how far it is."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from scripts.bench.sender import Job, Result
from scripts.failures import GaveUp

Heard = Callable[[dict[str, Any]], None]


class LoadGenerator:
    """One sender. `pid`: of its process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid

    def run(self, job: Job, heard: Heard = lambda _: None) -> Result:
        """Send everything; `heard` gets what the sender says meanwhile.

        Raises:
            GaveUp: something was not accepted, or the sender ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - as it was opened
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        for document in self._read():
            if "result" in document:
                return _whole(msgspec.convert(document["result"], Result))
            heard(document)
        raise GaveUp(f"the load generator ended with {self._process.wait()}")

    def _read(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None  # noqa: S101 - as above
        return map(json.loads, self._process.stdout)


def _whole(result: Result) -> Result:
    if result.failures:
        raise GaveUp(f"of {result.requests} requests some were not accepted: {result.failures}")
    return result


@contextmanager
def load_generator() -> Iterator[LoadGenerator]:
    """A sender for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.bench.sender"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield LoadGenerator(process)
        finally:
            process.kill()
