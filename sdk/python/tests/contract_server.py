"""The API's contract in memory, over real sockets, and the faults that a test orders.

An id counts once, as in the API. `deliveries` counts how often each came, so a test sees what was sent twice.
"""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "test-key"


@dataclass(frozen=True)
class Fault:
    """What happens to one write request. `takes`: the events are taken all the same, before it goes wrong."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drops: bool = False
    cuts: bool = False
    seconds: float = 0.0
    takes: bool = False
    retry: Callable[[int], bool] | None = None
    """Of which items, by place, the answer says `retry`."""


def refusal(status: int, reason: str, **headers: str) -> Fault:
    body = json.dumps({"error": {"reason": reason, "message": "as ordered"}}).encode()
    return Fault(status=status, body=body, headers=headers)


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class ContractServer:
    """Serves until `stop`. `faults` apply to write requests, one each; `always` to every one after them."""

    def __init__(self, port: int = 0) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.deliveries: Counter[str] = Counter()
        self.changes: list[dict[str, Any]] = []
        self.arrived: list[str] = []
        self.received: list[Received] = []
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.judge: Callable[[dict[str, Any]], str | None] = lambda _event: None
        self.refuse_whole: Callable[[bytes], str | None] = lambda _body: None
        self.answers: dict[str, Any] = {}
        self.health: dict[str, Any] = {"status": "ok", "clickhouse": "ok", "kafka_durability": "memory"}
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def writes(self) -> list[Received]:
        return [request for request in self.received if request.method == "POST" and "similar" not in request.path]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()

    def take(self, lines: list[bytes]) -> list[dict[str, Any]]:
        """One item per line, as the API answers."""
        with self.lock:
            return [self._take_one(json.loads(line)) for line in lines]

    def _take_one(self, event: dict[str, Any]) -> dict[str, Any]:
        operation = event.pop("op", "create")
        reason = self.judge(event)
        if reason:
            return {"id": None, "status": "rejected", "reason": reason, "message": "as ordered", "field": "x"}
        self.arrived.append(event["id"])
        if operation == "create":
            self.deliveries[event["id"]] += 1
            self.events.setdefault(event["id"], event)
        else:
            self.changes.append({"op": operation, **event})
        return {"id": event["id"], "status": "accepted"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: ContractServer

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(connection)
        return connection, address

    def hang_up(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that a test cut is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Tests read `received`."""

    def do_GET(self) -> None:
        self._answer(*self._read(self._receive(b"")))

    def _read(self, request: Received) -> tuple[int, Any]:
        owner = self.server.owner
        if request.path == "/health":
            return 200, owner.health
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return 403, {"error": {"reason": "key_invalid", "message": ""}}
        if request.path in owner.answers:
            found = owner.answers[request.path]
            return 200, found(request.query) if callable(found) else found
        if request.path == "/reports/top-users":
            return 200, self._top_users()
        event = owner.events.get(unquote(request.path.removeprefix("/event/")))
        reason = "event_not_found" if request.path.startswith("/event/") else "route_not_found"
        if event is None:
            return 404, {"error": {"reason": reason, "message": ""}}
        return 200, {**event, "timestamp": "2026-01-02T03:04:05.678Z"}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        owner, request = self.server.owner, self._receive(body)
        if request.path == "/events/similar":
            return self._answer(200, owner.answers[request.path])
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._answer(403, {"error": {"reason": "key_invalid", "message": ""}})
        with owner.lock:
            fault = owner.faults.popleft() if owner.faults else owner.always
        if self.headers.get("Content-Encoding") == "gzip":
            if "gzip" not in owner.health.get("request_encodings", ()):
                return self._answer(415, {"error": {"reason": "unsupported_encoding", "message": ""}})
            body = gzip.decompress(body)
        if reason := owner.refuse_whole(body):
            return self._answer(400, {"error": {"reason": reason, "message": ""}})
        return self._answer_lines(body.split(b"\n"), fault or Fault())

    def _answer_lines(self, lines: list[bytes], fault: Fault) -> None:
        if fault.seconds:
            time.sleep(fault.seconds)
        if fault.retry is not None:
            return self._answer_partly(lines, fault)
        goes_wrong = bool(fault.drops or fault.status or fault.body is not None or fault.cuts)
        items = self.server.owner.take(lines) if fault.takes or fault.cuts or not goes_wrong else []
        if fault.drops:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if fault.status or fault.body is not None:
            return self._send(fault.status or 202, fault.body or b"{}", fault.headers)
        taken = sum(item["status"] == "accepted" for item in items)
        answer = json.dumps({"accepted": taken, "rejected": len(items) - taken, "items": items}).encode()
        return self._send(202, answer, {}, cut=fault.cuts)

    def _answer_partly(self, lines: list[bytes], fault: Fault) -> None:
        assert fault.retry is not None
        again = [fault.retry(place) for place in range(len(lines))]
        taken = iter(self.server.owner.take([line for line, retry in zip(lines, again, strict=True) if not retry]))
        items = [{"id": None, "status": "retry", "reason": "log_unavailable"} if r else next(taken) for r in again]
        self._answer(202, {"accepted": len(lines) - sum(again), "rejected": 0, "items": items})

    def _receive(self, body: bytes) -> Received:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, parts.path, parse_qs(parts.query), headers, body)
        with self.server.owner.lock:
            self.server.owner.received.append(request)
        return request

    def _top_users(self) -> dict[str, Any]:
        counts = Counter(event["user_id"] for event in self.server.owner.events.values() if event.get("user_id"))
        users = [{"user_id": user, "events": n} for user, n in sorted(counts.items(), key=lambda x: (-x[1], x[0]))]
        frame = {"exact": True, "generated_at": "2026-01-02T03:04:05.678Z", "next_cursor": None, "new_field": 1}
        window = {"start": "2026-01-01T03:04:05.678Z", "end": "2026-01-02T03:04:05.678Z"}
        return {"users": users, "events_total": counts.total(), "users_total": len(users), **frame, **window}

    def _answer(self, status: int, document: Any) -> None:
        self._send(status, json.dumps(document).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True
