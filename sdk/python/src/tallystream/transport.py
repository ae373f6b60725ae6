"""HTTP to one API on the standard library: keep-alive connections, a deadline per call, proxies, no retries.

The one exception: a connection that the server closed while it was idle is opened anew, once. Nothing was served then,
and even if: events carry ids.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tallystream.answers import Answer, NoAnswer
from tallystream.environment import find_proxy

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024  # the API cuts answers at 4 MB; a page of something else may have no end
_CHUNK_BYTES: Final = 64 * 1024
_IDLE_CONNECTIONS_MAX: Final = 8  # beyond that, threads that read at once open connections of their own


class _Request(NamedTuple):
    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]


class _Proxy(NamedTuple):
    host: str
    port: int | None
    headers: dict[str, str]


class Transport:
    """Calls one API with one key, from any number of threads; each call has a connection to itself.

    Raises:
        ValueError: the URL is none of http or https.
    """

    def __init__(
        self,
        url: str,
        key: str,
        user_agent: str,
        *,
        timeout_seconds: float,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http(s) URL")
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._obstacle = ""
        self._proxy = self._find_proxy(parts.scheme, parts.netloc)
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": user_agent, "Accept": "application/json"}
        if self._proxy is not None and not self._is_tls:
            self._headers.update(self._proxy.headers)
        self._timeout_seconds = timeout_seconds
        self._ssl_context = ssl_context
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The whole answer to one request.

        Args:
            method: of HTTP.
            path: with query, as it stands on the wire.
            body: of the request.
            headers: beside those of every request.
            timeout_seconds: for this request, if that is less than for all.

        Raises:
            NoAnswer: refused, dropped, cut short, not complete within the timeout, or there is no way to the API.
        """
        if self._obstacle:
            raise NoAnswer(self._obstacle)
        request = _Request(method, self._target(path), body, {**self._headers, **(headers or {})})
        longest = self._timeout_seconds
        deadline = time.monotonic() + (longest if timeout_seconds is None else min(timeout_seconds, longest))
        idle = self._take_idle()
        try:
            if idle is not None:
                with contextlib.suppress(ConnectionError):  # the server closed it while it was idle
                    return self._exchange(idle, request, deadline)
            return self._exchange(self._connect(), request, deadline)
        except (OSError, http.client.HTTPException, UnicodeError) as problem:  # the last: no host has such a name
            raise NoAnswer(_describe(problem)) from problem

    def close(self) -> None:
        """Closes idle connections; calls under way or to come close theirs at their end."""
        with self._lock:
            self._is_closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def _find_proxy(self, scheme: str, host: str) -> _Proxy | None:
        try:
            return _read_proxy(find_proxy(scheme, host))
        except ValueError:  # its message could hold a password
            self._obstacle = f"the address of the proxy that the environment names for {scheme} cannot be read"
            return None

    def _take_idle(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _exchange(self, connection: http.client.HTTPConnection, request: _Request, deadline: float) -> Answer:
        try:
            connection.timeout = _left_until(deadline)
            _limit(connection.sock, deadline)
            response, opened = _send(connection, request, deadline)
            answer = Answer(response.status, _headers_of(response), _read_all(response, opened, deadline))
        except BaseException:
            connection.close()
            raise
        response.close()
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return answer

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS_MAX and not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def _target(self, path: str) -> str:
        if self._proxy is None or self._is_tls:
            return self._prefix + path
        port = f":{self._port}" if self._port else ""
        return f"http://{self._host}{port}{self._prefix}{path}"

    def _connect(self) -> http.client.HTTPConnection:
        host, port = (self._host, self._port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        if not self._is_tls:
            return http.client.HTTPConnection(host, port, timeout=self._timeout_seconds)
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=self._timeout_seconds, context=self._ssl_context)
        if self._proxy is not None:
            connection.set_tunnel(self._host, self._port, self._proxy.headers)
        return connection


def _read_proxy(address: str | None) -> _Proxy | None:
    if address is None:
        return None
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.username is None:
        return _Proxy(parts.hostname or "", parts.port, {})
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return _Proxy(parts.hostname or "", parts.port, {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"})


def _send(
    connection: http.client.HTTPConnection, request: _Request, deadline: float
) -> tuple[http.client.HTTPResponse, socket.socket | None]:
    """The begun answer, and the socket of its rest: the connection forgets one that the server is going to close."""
    try:
        connection.request(*request)
    except (BrokenPipeError, ConnectionResetError) as problem:
        # A server that refuses a large body may have answered before it hung up.
        opened = connection.sock
        try:
            return connection.getresponse(), opened
        except (http.client.HTTPException, OSError):
            raise problem from None
    opened = connection.sock
    _limit(opened, deadline)
    return connection.getresponse(), opened


def _left_until(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)  # 0 would not mean at once, but not to wait for sockets at all


def _limit(opened: socket.socket | None, deadline: float) -> None:
    """A socket knows no deadline, only how long one step of it may take: it is told anew before each."""
    if opened is not None:
        opened.settimeout(_left_until(deadline))


def _headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _read_all(response: http.client.HTTPResponse, opened: socket.socket | None, deadline: float) -> bytes:
    """The body. The socket's own timeout would let a server that trickles hold a call for ever."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise TimeoutError
        if not response.isclosed():  # else its socket may be gone, too
            _limit(opened, deadline)
        if size > ANSWER_BYTES_MAX:
            raise http.client.HTTPException(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
    missing = response.length
    if missing:
        raise http.client.IncompleteRead(b"".join(parts), missing)
    return b"".join(parts)


def _describe(problem: Exception) -> str:
    if isinstance(problem, http.client.IncompleteRead):
        return f"the answer broke off after {len(problem.partial)} bytes"
    if isinstance(problem, TimeoutError):
        return "no whole answer in time"
    return f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
