"""HTTP/1.1 on 127.0.0.1 by the standard library: one thread per connection, keep-alive, chunked both ways.

Measured as fast as uvicorn and granian here, since the engine does the work. Carries bytes only; what they
mean is decided in `service`.
"""

import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from local_runtime.clickhouse_server.answer import Answer, error_answer
from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code
from local_runtime.clickhouse_server.http_body import read_body
from local_runtime.clickhouse_server.service import Service

HOST: Final = "127.0.0.1"
MAX_URI_BYTES: Final = 1024 * 1024  # ClickHouse's http_max_uri_size
IDLE_TIMEOUT_S: Final = 60  # of a silent connection, between requests and inside one
MAX_CONNECTIONS: Final = 512  # a thread each
WRITE_BUFFER_BYTES: Final = 64 * 1024
_CODE_OF_STATUS: Final = {
    414: Code.QUERY_IS_TOO_LARGE,
    431: Code.QUERY_IS_TOO_LARGE,
    501: Code.NOT_IMPLEMENTED,
}


class Handler(BaseHTTPRequestHandler):
    """One connection. The HTTP errors of the base class get ClickHouse's form."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = WRITE_BUFFER_BYTES
    timeout = IDLE_TIMEOUT_S
    server: "Server"

    def handle_one_request(self) -> None:
        """As the base class, which has no setting for the length of the request line."""
        try:
            self.raw_requestline = self.rfile.readline(MAX_URI_BYTES + 1)
            if len(self.raw_requestline) > MAX_URI_BYTES:
                self.requestline = self.request_version = self.command = ""
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            elif not self.raw_requestline:
                self.close_connection = True
            elif self.parse_request():
                method = getattr(self, f"do_{self.command}", None)
                if method is None:
                    self.send_error(HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method {self.command[:40]}")
                else:
                    method()
            self.wfile.flush()
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def _serve(self) -> None:
        try:
            body = read_body(self.command, self.headers, self.rfile)
        except ClickHouseError as error:
            self.close_connection = True
            self._send(error_answer(error))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.service.answer(self.command, self.path, headers, body))

    do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815 - names given by the base class

    def _send(self, answer: Answer) -> None:
        with answer.cleanup:  # a client that has gone cancels its query
            body = answer.body
            if not isinstance(body, bytes) and self.request_version == "HTTP/1.0":
                body = b"".join(body)  # that version has no chunks
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            if isinstance(body, bytes):
                self.send_header("Content-Length", str(len(body)))
                pieces = iter((body,))
            else:
                self.send_header("Transfer-Encoding", "chunked")
                pieces = _chunked(body)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.writelines(pieces)

    def version_string(self) -> str:
        """The Server header, without Python's version."""
        return "ClickHouse-chDB"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """An error of HTTP itself, in ClickHouse's form instead of an HTML page."""
        text = ": ".join(part for part in (HTTPStatus(code).phrase, message or explain) if part)
        self.close_connection = True
        self._send(
            error_answer(ClickHouseError(_CODE_OF_STATUS.get(code, Code.BAD_REQUEST_PARAMETER), text, status=code))
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """No access log: the functions that ask log their own calls."""


def _chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n" % len(piece)
            yield piece
            yield b"\r\n"
    yield b"0\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Listens at once; answers only once `service` is set and `serve_forever` runs."""

    daemon_threads = True
    request_queue_size = 512
    service: Service

    def __init__(self, port: int) -> None:
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((HOST, port), Handler)

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """One more connection, or none: beyond the limit it is closed at once."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As the base class, and gives the connection's place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that vanish are everyday; `service` has already reported anything else."""
