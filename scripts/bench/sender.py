"""The load generator: a process of its own, so that its CPU time is told apart and nothing holds it up.

    python -m scripts.bench.sender

One job as JSON per line of the standard input; on the standard output a line of JSON for each sampled event
(`{"id", "at"}`: its 202 arrived, by the monotonic clock), one each half second with what was accepted so far, and one
with the result. Requests are due at even intervals, whatever became of those before; one that is late goes at once.
"""

import http.client
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from scripts.bench.workload import SHAPES, Workload, in_groups

REQUEST_SECONDS_MAX: Final = 60
PROGRESS_SECONDS: Final = 0.5
BATCHES_PER_CHANGE: Final = 5  # of creates, so that a request of changes has 1,000 where one of creates has 500
_ACCEPTED: Final = re.compile(rb'"accepted":\s*(\d+)')
_HTTP_ACCEPTED: Final = 202


class Job(msgspec.Struct):
    """What to send. `kind`: creates, updates or deletes of the batches `first`, `first` + 1, ...

    `batches` None: as many as fit into `seconds`. `events_per_second` 0: as fast as the connections go.
    """

    api_url: str
    key: str
    started_ms: int
    shape: str
    events_per_request: int
    kind: str = "creates"
    first: int = 0
    batches: int | None = None
    seconds: float = 0.0
    events_per_second: float = 0.0
    connections: int = 4
    sample_one_in: int = 0


class Result(msgspec.Struct):
    """What was sent. Times: seconds of the monotonic clock. `failures`: other answers than 202, or none, by text."""

    requests: int
    events: int
    began: float
    ended: float
    request_ms: list[float]
    failures: dict[str, int]

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.began


class Sending:
    """One job under way, by several connections."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._workload = Workload(SHAPES[job.shape], job.events_per_request, job.started_ms)
        self._workload.creates(job.first)  # what is made once is made before the clock runs
        self._bodies = _bodies_of(job, self._workload)
        self._lock = threading.Lock()
        self._taken = 0
        self.result = Result(0, 0, 0.0, 0.0, [], {})

    def run(self) -> Result:
        """Send everything; returns with the last answer."""
        threads = [threading.Thread(target=self._send_all) for _ in range(self._job.connections)]
        self.result.began = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(PROGRESS_SECONDS)
            say({"events": self.result.events, "at": time.monotonic()})
        return self.result

    def _send_all(self) -> None:
        address = urlsplit(self._job.api_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=REQUEST_SECONDS_MAX)
        path = address.path + ("/events" if self._job.kind == "creates" else "/batch")
        headers = {"Authorization": f"Bearer {self._job.key}", "Content-Type": "application/json"}
        while (taken := self._take()) is not None:
            number, body = taken
            began = time.monotonic()
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                status, answer = response.status, response.read()
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                status, answer = 0, type(problem).__name__.encode()
            self._note(number, status, answer, began)
        connection.close()

    def _take(self) -> tuple[int, bytes] | None:
        """The next request when it is due; None when there is no more."""
        with self._lock:
            number = self._taken
            due = self._due(number)
            if due is None or (body := next(self._bodies, None)) is None:
                return None
            self._taken += 1
        time.sleep(max(0.0, due - time.monotonic()))
        return number, body

    def _due(self, number: int) -> float | None:
        job, now = self._job, time.monotonic()
        if job.events_per_second:
            due = self.result.began + number * job.events_per_request / job.events_per_second
        else:
            due = now
        is_over = job.batches is None and max(now, due) >= self.result.began + job.seconds
        return None if is_over else due

    def _note(self, number: int, status: int, answer: bytes, began: float) -> None:
        now = time.monotonic()
        found = _ACCEPTED.search(answer) if status == _HTTP_ACCEPTED else None
        result, job = self.result, self._job
        with self._lock:
            result.requests += 1
            result.ended = now
            result.request_ms.append((now - began) * 1_000)
            if found is None:
                text = f"{status} {answer[:200].decode('utf-8', 'replace')}"
                result.failures[text] = result.failures.get(text, 0) + 1
                return
            result.events += int(found[1])
        if job.sample_one_in and number % job.sample_one_in == 0:
            index = number * 7_919 % job.events_per_request
            say({"id": self._workload.id_of(job.first + number, index), "at": now})


def _bodies_of(job: Job, workload: Workload) -> Iterator[bytes]:
    batches = count(job.first) if job.batches is None else iter(range(job.first, job.first + job.batches))
    if job.kind == "creates":
        return map(workload.creates, batches)
    make = workload.updates if job.kind == "updates" else workload.deletes
    return in_groups(batches, BATCHES_PER_CHANGE, make)


_speaking = threading.Lock()


def say(document: Any) -> None:
    """One line on the standard output."""
    with _speaking:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Runs the jobs that come in; 0 when no more come."""
    for line in sys.stdin:
        result = Sending(msgspec.json.decode(line, type=Job)).run()
        say({"result": msgspec.to_builtins(result)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
