"""The trigger over HTTP: its state as JSON and as Prometheus text, and Lambda's API for its mappings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from local_runtime.kafka_trigger import mapping_api, metrics
from local_runtime.kafka_trigger.progress import Progress
from local_runtime.kafka_trigger.supervisor import Supervisor

PATHS = ["/", "/ready", "/lag", "/metrics", mapping_api.PATH]
BODY_BYTES_MAX = 1_000_000  # a mapping has a few hundred
JSON = "application/json"

ReadLags = Callable[[Sequence[Progress]], dict[str, int | None]]


class Handler(BaseHTTPRequestHandler):
    """One request; `supervisor` and `read_lags` are set by `serve_status`."""

    supervisor: Supervisor
    read_lags: ReadLags

    def do_GET(self) -> None:
        """Answer a page, or Lambda's API."""
        pages = {
            "/": self._send_state,
            "/ready": self._send_readiness,
            "/lag": self._send_lags,
            "/metrics": self._send_metrics,
        }
        pages.get(self.path, self._call_api)()

    def do_POST(self) -> None:
        """Create a mapping."""
        self._call_api()

    def do_PUT(self) -> None:
        """Change a mapping."""
        self._call_api()

    def do_DELETE(self) -> None:
        """Remove a mapping."""
        self._call_api()

    def log_message(self, *_: Any) -> None:
        """Keep the trigger's log for what the trigger does."""

    def _send_state(self) -> None:
        mappings = [one.describe() for one in self.supervisor.progress()]
        self._send_json(HTTPStatus.OK, {"mappings": mappings, "process_cpu_seconds": time.process_time()})

    def _send_readiness(self) -> None:
        waiting = [one.mapping.name for one in self.supervisor.progress() if not one.is_ready()]
        status = HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK
        self._send_json(status, {"ready": not waiting, "waiting": waiting})

    def _send_lags(self) -> None:
        lags = type(self).read_lags(self.supervisor.progress())
        self._send_json(HTTPStatus.OK, {"mappings": [{"name": name, "lag": lag} for name, lag in lags.items()]})

    def _send_metrics(self) -> None:
        text = metrics.render(self.supervisor.progress(), time.process_time())
        self._send(HTTPStatus.OK, text.encode(), metrics.CONTENT_TYPE)

    def _call_api(self) -> None:
        if not self.path.startswith(mapping_api.PATH):
            self._send_json(HTTPStatus.NOT_FOUND, {"paths": PATHS})
            return
        if self.headers.get("Origin"):
            # A page in somebody's browser: it must not change what runs on the machine it is looked at.
            self._send_json(HTTPStatus.FORBIDDEN, {"Type": "User", "Message": "not for web pages"})
            return
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX))
        try:
            answer = mapping_api.answer(self.supervisor, self.command, self.path, body, int(time.time() * 1000))
            self._send_json(*answer)
        except mapping_api.ApiError as error:
            content = {"Type": "User", "Message": str(error)}
            self._send_json(error.status, content, {"x-amzn-ErrorType": error.kind})

    def _send_json(self, status: HTTPStatus, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content, default=str).encode() + b"\n", JSON, headers)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def serve_status(supervisor: Supervisor, port: int, read_lags: ReadLags) -> ThreadingHTTPServer:
    """Serve on 127.0.0.1 until `shutdown()`; port 0 takes a free one (`server_port`).

    `/` is everything, `/ready` is 200 once every mapping reads its topic, `/lag` asks the broker for the ends now,
    `/metrics` is for Prometheus.

    Raises:
        OSError: the port is taken.
    """
    handler = type("StatusHandler", (Handler,), {"supervisor": supervisor, "read_lags": staticmethod(read_lags)})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="status", daemon=True).start()
    return server
