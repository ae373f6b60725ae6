"""HTTP as the client speaks it: connections kept, deadlines, early refusals, proxies, gzip."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from contract_server import KEY, ContractServer
from tallystream import Client, Limits, Unavailable
from tallystream.answers import Answer, NoAnswer, error_of, read_retry_after
from tallystream.backoff import LONGEST_SECONDS, pause_seconds
from tallystream.compression import Compression
from tallystream.transport import Transport

MakeClient = Callable[..., Client]
Talk = Callable[[socket.socket], None]
WHOLE = Limits(flush_interval_ms=60_000, request_timeout_seconds=5)  # what is tracked before a flush is one request


@contextmanager
def a_socket_server(*talks: Talk) -> Iterator[str]:
    """Serves one connection after the other as each talk says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for talk in talks:
                connection, _ = listener.accept()
                with connection:
                    talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65_536)
        if not more:
            break
        received += more
    return received


def transport(url: str, timeout_seconds: float = 5) -> Transport:
    return Transport(url, KEY, "test", timeout_seconds=timeout_seconds)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_connection_is_kept(server: ContractServer) -> None:
    ports: set[int] = set()

    def talk(connection: socket.socket) -> None:
        for _ in range(3):
            read_request(connection)
            ports.add(connection.getpeername()[1])
            connection.sendall(OK)

    with a_socket_server(talk) as url:
        calls = transport(url)
        assert [calls.call("GET", "/health").status for _ in range(3)] == [200] * 3
        calls.close()

    assert len(ports) == 1


def test_a_connection_that_the_server_closed_while_idle_is_opened_anew() -> None:
    def once(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)

    with a_socket_server(once, once) as url:
        calls = transport(url)
        assert calls.call("GET", "/").status == 200
        time.sleep(0.05)
        assert calls.call("GET", "/").status == 200
        calls.close()


def test_a_refusal_that_comes_before_the_body_was_read_is_heard() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    with a_socket_server(refuse) as url:
        assert transport(url).call("POST", "/events", b"x" * 4_000_000).status == 413


def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    def trickle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            return

    with a_socket_server(trickle) as url:
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="in time"):
            transport(url, 0.3).call("GET", "/")
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"garbage\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_none(answer: bytes) -> None:
    def break_off(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    with a_socket_server(break_off) as url, pytest.raises(NoAnswer):
        transport(url).call("GET", "/")


def test_nobody_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NoAnswer, match="Refused"):
        transport(f"http://127.0.0.1:{port}").call("GET", "/")


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with a_socket_server(proxy) as url:
        monkeypatch.setenv("http_proxy", url.replace("http://", "http://me:secret@"))
        monkeypatch.setenv("no_proxy", "exempt.test")
        calls = transport("http://api.test/stage")
        assert calls.call("GET", "/health").status == 200
        calls.close()
        with pytest.raises(NoAnswer):
            transport("http://exempt.test", 1).call("GET", "/")

    assert seen[0].startswith(b"GET http://api.test/stage/health HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in seen[0]


def test_requests_are_packed_only_when_health_says_so(server: ContractServer, make_client: MakeClient) -> None:
    for expected in (None, "gzip"):
        client = make_client(limits=WHOLE)
        for number in range(100):
            client.track_event("e", user_id="u", output=str(number))
        assert client.flush()
        assert server.writes[-1].headers.get("content-encoding") == expected
        server.health["request_encodings"] = ["gzip"]

    assert len(gzip.decompress(server.writes[-1].body)) > 5 * len(server.writes[-1].body)
    assert len(server.events) == 200


def test_a_packed_request_that_is_not_unpacked_is_sent_again_plain(
    server: ContractServer, make_client: MakeClient
) -> None:
    client = make_client(gzip=True, limits=WHOLE)
    for number in range(100):
        client.track_event("e", user_id="u", output=str(number))

    assert client.flush()
    assert [write.headers.get("content-encoding") for write in server.writes] == ["gzip", None]
    assert len(server.events) == 100


def test_small_requests_stay_as_they_are() -> None:
    asked: list[int] = []

    def health() -> Answer:
        asked.append(1)
        return Answer(200, {}, b'{"request_encodings": ["gzip"]}')

    compression = Compression(health, wanted=None)

    assert compression.pack(b"x" * 1_023) == (b"x" * 1_023, {})
    assert not asked
    for _ in range(3):
        assert compression.pack(b"x" * 1_024)[1] == {"Content-Encoding": "gzip"}
    assert len(asked) == 1


def test_the_request_says_who_asks(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client()
    client.track_event("e", user_id="u")
    client.flush()

    headers = server.writes[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"].startswith("tallystream-python/")
    assert headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0), ("2", 2), ("3600", 30), ("-1", 0), ("soon", 0), ("1.5", 0), ("٣", 0),
        ("Thu, 01 Jan 2026 00:00:10 GMT", 10), ("Thu, 01 Jan 2026 00:10:00 GMT", 30),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_capped(text: str, seconds: float) -> None:
    assert read_retry_after(text, now=1_767_225_600.0) == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(
    ("status", "reason", "name", "retriable"),
    [
        (408, "x", "Unavailable", True),
        (429, "throttled", "Unavailable", True),
        (500, "internal_error", "Unavailable", True),
        (503, "log_unavailable", "Unavailable", True),
        (401, "key_missing", "KeyRefused", False),
        (403, "scope_missing", "KeyRefused", False),
        (404, "event_not_found", "NotFound", True),
        (404, "route_not_found", "RequestRefused", False),
        (410, "event_deleted", "EventDeleted", False),
        (400, "window_invalid", "RequestRefused", False),
        (302, "x", "RequestRefused", False),
    ],
)
def test_each_refusal_has_its_error(status: int, reason: str, name: str, retriable: bool) -> None:
    body = json.dumps({"error": {"reason": reason, "message": "why"}}).encode()

    error = error_of(Answer(status, {"retry-after": "3"}, body))

    assert (type(error).__name__, error.retriable, error.reason, error.status) == (name, retriable, reason, status)
    assert error.retry_after_seconds == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": "Forbidden"}', b"[" * 100_000])
def test_a_refusal_without_our_name_is_named_by_its_status(body: bytes) -> None:
    assert error_of(Answer(502, {}, body)).reason == "http_502"


def test_pauses_grow_to_a_bound_and_come_on_top_of_what_was_asked_for() -> None:
    longest = [pause_seconds(failures, 1.0, lambda _low, high: high) for failures in (1, 2, 3, 10, 10_000)]

    assert longest == [1.2, 1.4, 1.8, 1 + LONGEST_SECONDS, 1 + LONGEST_SECONDS]
    assert pause_seconds(9, 0.0, lambda low, _high: low) == 0.0


def test_reads_are_tried_three_times(server: ContractServer, make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Unavailable):
        make_client(url=f"http://127.0.0.1:{port}").top_users()
