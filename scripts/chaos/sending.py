"""Sends one lane's requests, tries again what was not answered, and notes what was acknowledged.

A refused connection and a 4xx took no effect: they are tried again until they are answered. Everything else without an
acknowledgement may have taken effect; it is noted as unknown, and most of it is sent once more with the same ids.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from local_runtime.connection import Connection
from scripts.chaos.history import ACCEPTED, SPOOLED, UNKNOWN, History, Sent
from scripts.chaos.order import Sender, ordering_key
from scripts.chaos.workload import CREATE, DELETE, Operation, Request, Workload
from scripts.failures import GaveUp
from scripts.http_calls import Answer, HttpCaller, NoAnswer

CALL_SECONDS_MAX: Final = 40.0  # above the gateway's 29 s: a call that gives up first would leave one behind it running
UNANSWERED_SECONDS_MAX: Final = 120.0  # an outage takes 20 s; longer means that something does not come back
PAUSE_SECONDS: Final = 0.2
SENT_AGAIN: Final = 0.8  # of the calls whose outcome is unknown
_JSON: Final = "application/json"
_TAKEN, _REFUSED = range(200, 300), range(400, 500)
# Ours, about the operation itself: trying again would be refused for ever.
_FINAL_REASONS: Final = frozenset({"immutable_field", "unknown_field", "wrong_type", "id_invalid", "no_fields"})
_REJECTED: Final = "rejected"
_STATUSES: Final = {"accepted": ACCEPTED, "spooled": SPOOLED, "rejected": _REJECTED}


@dataclass
class Tally:
    """Counts of one run, by what became of an operation, the history of each id, and what each lane sent per key."""

    counts: Counter[str] = field(default_factory=Counter)
    histories: dict[str, History] = field(default_factory=dict)
    sequences: dict[Sender, list[Sent]] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_refused(self) -> None:
        """One call that took no effect and is made again."""
        with self.lock:
            self.counts["refused"] += 1

    def note(self, lane: int, operation: Operation, status: str) -> None:
        """`status`: ACCEPTED, SPOOLED, UNKNOWN or rejected."""
        with self.lock:
            self.counts[status] += 1
            self.counts["sent"] += 1
            if status == _REJECTED:
                self.rejected.append(f"{operation.kind} {operation.id}")
                return
            sent = Sent(operation, status, f"{status} {datetime.now(UTC):%H:%M:%S.%f}")
            self.histories.setdefault(operation.id, History()).add(sent)
            self.sequences.setdefault(Sender(lane, *ordering_key(operation)), []).append(sent)


class Lane(threading.Thread):
    """One sender. `failure` is what ended it early, None if nothing did."""

    def __init__(
        self,
        workload: Workload,
        seed: str,
        tally: Tally,
        connection: Callable[[], Connection],
        may_send: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        self._workload = workload
        self._random = random.Random(seed)  # noqa: S311 - has to repeat itself
        self._tally = tally
        self._connection = connection
        self._may_send = may_send
        self._caller: HttpCaller | None = None

    def run(self) -> None:
        """Send everything."""
        try:
            for request in self._workload.requests():
                while not self._may_send():
                    time.sleep(PAUSE_SECONDS)
                self._send(request)
        except Exception as error:  # noqa: BLE001 - the run's own thread raises it
            self.failure = error
        finally:
            self._hang_up()

    def _send(self, request: Request) -> None:
        method, path, body = encode(request)
        while True:
            answer = self._call(method, path, body)
            statuses = statuses_of(answer, len(request.operations))
            for operation, status in zip(request.operations, statuses, strict=True):
                self._tally.note(self._workload.lane, operation, status)
            if UNKNOWN not in statuses or self._random.random() > SENT_AGAIN:
                return
            time.sleep(PAUSE_SECONDS)

    def _call(self, method: str, path: str, body: bytes) -> Answer | None:
        """The answer; None where the call may have taken effect and nobody knows."""
        deadline = time.monotonic() + UNANSWERED_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                answer = self._open().call(method, path, body, _JSON)
            except NoAnswer as problem:
                self._hang_up()
                if not isinstance(problem.__cause__, ConnectionRefusedError):
                    return None
            else:
                if answer.status not in _REFUSED or answer.reason() in _FINAL_REASONS:
                    return answer
                self._hang_up()  # the API has another address now, or its keys are not there yet
                self._tally.note_refused()
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(f"{method} {path} was refused for {UNANSWERED_SECONDS_MAX:.0f} s")

    def _open(self) -> HttpCaller:
        if self._caller is None:
            connection = self._connection()
            self._caller = HttpCaller(connection.api_url, bearer=connection.write_key, timeout_seconds=CALL_SECONDS_MAX)
        return self._caller

    def _hang_up(self) -> None:
        if self._caller is not None:
            self._caller.close()
            self._caller = None


def encode(request: Request) -> tuple[str, str, bytes]:
    """Method, path and body of a request."""
    first = request.operations[0]
    if request.path == "/events":
        document: Any = {"events": [each.fields for each in request.operations]}
    elif request.path == "/batch":
        document = {"operations": [_describe(each) for each in request.operations]}
    elif first.kind == CREATE:
        return "POST", "/event", _bytes(first.fields)
    else:
        method = "DELETE" if first.kind == DELETE else "PUT"
        return method, f"/event/{first.id}", b"" if first.kind == DELETE else _bytes(first.fields)
    return "POST", request.path, _bytes(document)


def statuses_of(answer: Answer | None, operations: int) -> list[str]:
    """What became of each operation; one that the API asks to send again may still have landed."""
    items = answer.document().get("items") if answer is not None else None
    if answer is None or not isinstance(items, list) or len(items) != operations:
        is_refused = answer is not None and answer.status in _REFUSED
        return [_REJECTED if is_refused else UNKNOWN] * operations
    return [_STATUSES.get(item["status"], UNKNOWN) if _is_taken(answer, item) else UNKNOWN for item in items]


def _is_taken(answer: Answer, item: Mapping[str, Any]) -> bool:
    return answer.status in _TAKEN or item["status"] == _REJECTED


def _describe(operation: Operation) -> dict[str, Any]:
    return {"op": operation.kind, "id": operation.id, **operation.fields}


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()
