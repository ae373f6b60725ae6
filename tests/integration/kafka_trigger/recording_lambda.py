"""A small HTTP server that speaks Lambda's Invoke API, records every event and answers as a test tells it to."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Answer:
    """What Invoke returns. A `function_error` is an uncaught exception or a time-out of the function."""

    status: int = 200
    function_error: str = ""
    body: bytes = b"null"
    seconds: float = 0.0


THROTTLED = Answer(429, body=b'{"Type":"User","message":"Rate Exceeded.","Reason":"ReservedFunctionConcurrent"}')
RAISED = Answer(function_error="Unhandled", body=b'{"errorType":"ValueError","errorMessage":"no"}')
BAD_GATEWAY = Answer(502, body=b"<html>bad gateway</html>")
MISSING = Answer(404, body=b'{"Type":"User","Message":"Function not found"}')
TIMED_OUT = Answer(function_error="Unhandled", body=b'{"errorType":"Sandbox.Timedout","errorMessage":"1.00 seconds"}')


@dataclass(frozen=True)
class Call:
    """One invocation: when it came and ended, for which function, with which event."""

    function: str
    started: float
    event: dict[str, Any]
    payload_bytes: int
    answer: Answer

    def values(self, partition: int | None = None) -> list[bytes]:
        return [b64decode(one["value"]) for one in self.records(partition)]

    def records(self, partition: int | None = None) -> list[dict[str, Any]]:
        records = [record for part in self.event["records"].values() for record in part]
        return [one for one in records if partition is None or one["partition"] == partition]


@dataclass
class RecordingLambda:
    """`decide(function, event)` chooses the answer; the default is success."""

    calls: list[Call] = field(default_factory=list)
    decide: Callable[[str, dict[str, Any]], Answer] = lambda _function, _event: Answer()
    in_flight: int = 0
    in_flight_max: int = 0
    release: threading.Event = field(default_factory=threading.Event)  # what a function that hangs may wait for
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None
    _connections: list[socket.socket] = field(default_factory=list)

    def start(self, port: int = 0) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = owner.take(unquote(self.path.split("/")[3]), body)
                self.send_response(answer.status)
                if answer.function_error:
                    self.send_header("X-Amz-Function-Error", answer.function_error)
                if answer.status == 429:
                    self.send_header("x-amzn-ErrorType", "TooManyRequestsException")
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                owner._connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, *_: Any) -> None:
                """A trigger that was killed leaves broken connections."""

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        while self._connections:
            with suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.server_port)

    def take(self, function: str, body: bytes) -> Answer:
        started, event = time.monotonic(), json.loads(body)
        with self._lock:
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
        answer = self.decide(function, event)
        time.sleep(answer.seconds)
        with self._lock:
            self.in_flight -= 1
            self.calls.append(Call(function, started, event, len(body), answer))
        return answer

    def accepted(self, function: str | None = None) -> list[Call]:
        """Return the successful calls in the order in which they ended."""
        calls = [call for call in list(self.calls) if call.answer.status == 200 and not call.answer.function_error]
        return [call for call in calls if function is None or call.function == function]

    def counts(self) -> list[int]:
        """Return how many records each call had, in the order in which they ended."""
        return [len(call.records()) for call in list(self.calls)]

    def accepted_records(self) -> list[dict[str, Any]]:
        return [record for call in self.accepted() for record in call.records()]

    def accepted_values(self, partition: int | None = None, function: str | None = None) -> list[bytes]:
        return [value for call in self.accepted(function) for value in call.values(partition)]
