"""A TCP proxy that fails as networks do (silent, deaf, slow, gone), or as the broker behind it may (refusing)."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from enum import StrEnum

from .refusal import Conversation, Refusal

CHUNK = 65_536
POLL_SECONDS = 0.1


class Mode(StrEnum):
    PASS = "pass"
    SILENT = "silent"  # accepts connections, reads what is sent, never answers, and forwards nothing
    MUTE = "mute"  # the broker gets everything, its answers are swallowed
    SLOW = "slow"  # every answer is `delay` seconds late


class Proxy:
    """Listens on a port of its own; `mode` may change at any time and holds for open connections too.

    `refusal`: what becomes of produce requests, where a broker stands behind.
    """

    def __init__(self, upstream_port: int, refusal: Refusal | None = None) -> None:
        self.mode = Mode.PASS
        self.delay = 0.0
        self.connections = 0
        self._upstream_port = upstream_port
        self._refusal = refusal
        self._is_closed = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(POLL_SECONDS)
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def close(self) -> None:
        """Close every connection and wait for the threads."""
        self._is_closed = True
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._sockets):
            each.close()
        assert not any(thread.is_alive() for thread in self._threads)

    def _start(self, run: object, *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closed:
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.connections += 1
                upstream = socket.socket()
                self._sockets += [client, upstream]
                with suppress(OSError):
                    upstream.connect(("127.0.0.1", self._upstream_port))
                conversation = self._refusal.converse() if self._refusal else None
                self._start(self._pump, client, upstream, False, conversation)
                self._start(self._pump, upstream, client, True, conversation)

    def _pump(
        self, source: socket.socket, target: socket.socket, is_answer: bool, conversation: Conversation | None
    ) -> None:
        source.settimeout(POLL_SECONDS)
        while not self._is_closed:
            try:
                data = source.recv(CHUNK)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            if conversation is not None:
                data = conversation.pass_on(data, is_answer)
            if self.mode is Mode.SILENT or (self.mode is Mode.MUTE and is_answer):
                continue
            if self.mode is Mode.SLOW and is_answer:
                self._wait(self.delay)
            try:
                target.sendall(data)
            except OSError:
                break
        if self.mode in {Mode.PASS, Mode.SLOW}:
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_closed and time.monotonic() < deadline:
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
