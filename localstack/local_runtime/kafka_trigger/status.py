"""The trigger's state over HTTP: `/` is everything, `/ready` is 200 once every mapping reads its topic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from local_runtime.kafka_trigger.progress import Progress


def serve_status(progress: Sequence[Progress], port: int) -> ThreadingHTTPServer:
    """Serve on 127.0.0.1 until `shutdown()`; port 0 takes a free one (`server_port`).

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self._answer(HTTPStatus.OK, {"mappings": [one.describe() for one in progress]})
            elif self.path == "/ready":
                waiting = [one.mapping.name for one in progress if not one.is_ready()]
                status = HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK
                self._answer(status, {"ready": not waiting, "waiting": waiting})
            else:
                self._answer(HTTPStatus.NOT_FOUND, {"paths": ["/", "/ready"]})

        def _answer(self, status: HTTPStatus, content: Any) -> None:
            body = json.dumps(content).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the trigger's log for what the trigger does."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="status", daemon=True).start()
    return server
