"""A server on a given port that does wrong to whoever connects, in one way of a closed set."""

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Self

SILENT_SECONDS_MAX: Final = 20.0  # longer than any test asks it; a thread that nobody stops ends then
DRIP_SECONDS: Final = 0.004  # well within any time-out of a socket, which each byte starts anew
LATE_SECONDS: Final = 0.03
SLOW_SECONDS: Final = 0.008  # in time, but only just

Wrong = Callable[[socket.socket, threading.Event], object]


def _say(text: bytes, after_seconds: float = 0.0) -> Wrong:
    def wrong(connection: socket.socket, closing: threading.Event) -> None:
        while connection.recv(65_536) and not closing.wait(after_seconds):
            connection.sendall(text)

    return wrong


def _say_once(text: bytes, *, then_hang: bool) -> Wrong:
    def wrong(connection: socket.socket, closing: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(text)
        closing.wait(SILENT_SECONDS_MAX if then_hang else 0)

    return wrong


def _drip(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(b"+")
    for _ in range(round(SILENT_SECONDS_MAX / DRIP_SECONDS)):
        if closing.wait(DRIP_SECONDS):
            return
        connection.sendall(b"a")


def _say_unasked(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(b"+hello\r\n")
    closing.wait(SILENT_SECONDS_MAX)


FAULTS: Final[Mapping[str, Wrong]] = MappingProxyType({
    "another protocol": _say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "a number that is none": _say(b":many\r\n"),
    "a length that is none": _say(b"$long\r\n"),
    "a number for a value": _say(b":5\r\n"),
    "a list for a value": _say(b"*1\r\n$1\r\na\r\n"),
    "lists without end": _say(b"*1\r\n" * 5_000),
    "a gigabyte announced": _say(b"$1000000000\r\nabc"),
    "zeros": _say(b"\0" * 100_000),
    "OK to everything": _say(b"+OK\r\n"),
    "words unasked for": _say_unasked,
    "LOADING": _say(b"-LOADING the dataset is being loaded into memory\r\n"),
    "OOM": _say(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    "NOAUTH": _say(b"-NOAUTH Authentication required.\r\n"),
    "WRONGPASS": _say(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
    "READONLY": _say(b"-READONLY You can't write against a read only replica.\r\n"),
    "MOVED": _say(b"-MOVED 3999 127.0.0.1:1\r\n"),
    "an error of no kind": _say(b"-\xff\xfe\r\n"),
    "closes at once": lambda _connection, _closing: None,
    "never answers": lambda _connection, closing: closing.wait(SILENT_SECONDS_MAX),
    "half an answer, then nothing": _say_once(b"$100\r\nhalf of", then_hang=True),
    "half an answer, then closes": _say_once(b"$100\r\nhalf of", then_hang=False),
    "byte after byte": _drip,
    "late": _say(b"$-1\r\n", LATE_SECONDS),
    "slow each time": _say(b"+OK\r\n", SLOW_SECONDS),
})  # fmt: skip


class FaultyServer:
    """Within `with` it does wrong; after that its port is free, and it says no more."""

    def __init__(self, port: int, wrong: Wrong) -> None:
        self._closing = closing = threading.Event()
        self._connections = connections = list[socket.socket]()

        class Visit(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(SILENT_SECONDS_MAX)
                connections.append(self.request)
                with suppress(OSError):  # the caller hangs up, or nobody does
                    wrong(self.request, closing)
                    self.request.shutdown(socket.SHUT_WR)
                    while self.request.recv(65_536):  # a reset would make ssl leave its socket open, a warning of ours
                        pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Visit)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @property
    def visits(self) -> int:
        """How many connected."""
        return len(self._connections)

    def make_way(self) -> None:
        """Free the port, and go on doing wrong to those who are connected."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.make_way()
        for connection in self._connections:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_WR)
