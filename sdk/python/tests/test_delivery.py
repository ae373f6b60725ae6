"""What is tracked arrives, in the order of the calls, and counts once, whatever the server does."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from contract_server import ContractServer, Fault, refusal
from tallystream import (
    Client,
    EventsDropped,
    EventsRejected,
    KeyRefused,
    Limits,
    RequestRefused,
    TallystreamError,
    Unavailable,
)
from waiting import wait_until

MakeClient = Callable[..., Client]
QUICK = Limits(flush_interval_ms=20, save_interval_ms=5, request_timeout_seconds=5)
WHOLE = dataclasses.replace(QUICK, flush_interval_ms=60_000)  # what is tracked before a flush is one request
TROUBLES = {
    "drops the connection": [Fault(drops=True)],
    "takes the events and drops the connection": [Fault(drops=True, takes=True)],
    "takes the events and sends half an answer": [Fault(cuts=True)],
    "answers 500": [refusal(500, "internal_error")],
    "answers 429": [refusal(429, "throttled", **{"Retry-After": "0"})],
    "answers 503": [refusal(503, "log_unavailable", **{"Retry-After": "0"})],
    "answers 408": [Fault(status=408)],
    "answers 202 with no JSON": [Fault(body=b"<html>", takes=True)],
    "answers 202 with other JSON": [Fault(body=b'{"items": [{}]}')],
    "asks for half of them again": [Fault(retry=lambda place: place % 2 == 0)],
    "does all of that": [
        Fault(drops=True, takes=True), Fault(cuts=True), refusal(503, "log_unavailable"), Fault(retry=lambda _: True),
    ],
}  # fmt: skip


def track(client: Client, events: int, user_id: str = "u") -> list[str]:
    return [client.track_event("e", user_id=user_id, output=f"{number}") for number in range(events)]


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_every_event_arrives_and_counts_once(
    server: ContractServer, make_client: MakeClient, spool: Any, trouble: list[Fault], errors: list[TallystreamError]
) -> None:
    server.faults.extend(trouble)
    client = make_client(spool=spool)

    ids = track(client, 100)

    assert client.flush(20)
    assert list(server.events) == ids or sorted(server.events) == sorted(ids)
    assert client.top_users().users[0].events == 100
    stats = client.stats()
    assert (stats.acknowledged, stats.queued, stats.spooled, stats.dropped) == (100, 0, 0, 0)
    assert all(isinstance(error, Unavailable) and error.retriable for error in errors)


def test_events_arrive_in_the_order_of_the_calls_through_retries(
    server: ContractServer, make_client: MakeClient, spool: Any
) -> None:
    server.faults.extend([Fault(drops=True), Fault(retry=lambda _: True), refusal(500, "internal_error")])
    client = make_client(spool=spool, limits=Limits(batch_events=7, flush_interval_ms=1, save_interval_ms=1))

    ids = track(client, 60)

    assert client.flush(20)
    assert server.arrived == ids


def test_nothing_is_sent_twice_when_all_goes_well(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    client = make_client(spool=spool)

    track(client, 500)

    assert client.flush()
    assert set(server.deliveries.values()) == {1}
    assert len(server.writes) < 10


def test_only_items_that_say_retry_are_sent_again(server: ContractServer, make_client: MakeClient) -> None:
    server.faults.append(Fault(retry=lambda place: place == 1))
    client = make_client(limits=WHOLE)

    ids = track(client, 3)

    assert client.flush()
    last = [json.loads(line)["id"] for line in server.writes[-1].body.split(b"\n")]
    assert last == [ids[1]]
    assert set(server.deliveries.values()) == {1}


def test_a_bad_event_takes_no_neighbour_along(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.judge = lambda event: "text_too_long" if event["output"] == "5" else None
    client = make_client()

    ids = track(client, 10)

    assert client.flush()
    (error,) = errors
    assert isinstance(error, EventsRejected)
    assert not error.retriable
    (failed,) = error.events
    assert (failed.event_id, failed.reason, failed.field) == (ids[5], "text_too_long", "x")
    assert json.loads(failed.line)["output"] == "5"
    assert sorted(server.events) == sorted(set(ids) - {ids[5]})


def test_a_request_that_is_refused_as_a_whole_is_cut_until_the_event_at_fault_stands_alone(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    client = make_client(limits=Limits(flush_interval_ms=300))
    ids = track(client, 50)
    server.refuse_whole = lambda body: "body_unreadable" if ids[17].encode() in body else None

    assert client.flush(20)
    assert [event.event_id for error in errors for event in error.events] == [ids[17]]
    assert server.arrived == [identifier for identifier in ids if identifier != ids[17]]


def test_a_refused_key_loses_nothing_and_is_not_asked_again_and_again(
    server: ContractServer, make_client: MakeClient, spool: Any, errors: list[TallystreamError]
) -> None:
    client = make_client(spool=spool, key="wrong")

    track(client, 10)
    started = time.monotonic()
    is_flushed = client.flush(30)

    assert not is_flushed
    assert time.monotonic() - started < 5
    assert isinstance(errors[0], KeyRefused)
    assert (errors[0].reason, errors[0].retriable) == ("key_invalid", False)
    assert len(server.writes) <= 2
    stats = client.stats()
    assert stats.queued + stats.spooled == 10


def test_what_a_refused_key_left_on_disk_is_sent_with_the_next_key(
    server: ContractServer, make_client: MakeClient, tmp_path: Any
) -> None:
    refused = make_client(spool=tmp_path, key="wrong")
    ids = track(refused, 10)
    refused.close(1)

    client = make_client(spool=tmp_path)

    assert client.flush()
    assert server.arrived == ids
    assert client.stats().recovered == 10


PAGES = {
    "a server of TLS spoken to without it": Fault(
        status=400, body=b"<html>plain HTTP request sent to HTTPS port</html>"
    ),
    "a firewall": Fault(status=422, body=b'{"message": "blocked"}'),
    "a gateway that takes nothing of this size": Fault(status=413, body=b"<html>Request Entity Too Large</html>"),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_refusal_that_is_not_our_apis_loses_nothing(
    server: ContractServer, make_client: MakeClient, spool: Any, errors: list[TallystreamError], page: Fault
) -> None:
    server.always = page
    client = make_client(spool=spool)

    ids = track(client, 10)

    assert not client.flush(20)
    assert {(type(error), error.reason) for error in errors} == {(RequestRefused, f"http_{page.status}")}
    stats = client.stats()
    assert (stats.rejected, stats.dropped, stats.queued + stats.spooled) == (0, 0, 10)
    server.always = None
    assert client.flush(20)
    assert server.arrived == ids


def test_a_gateway_that_takes_less_gets_less(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.extend([Fault(status=413, body=b"<html>")] * 2)
    client = make_client(limits=Limits(flush_interval_ms=300))

    ids = track(client, 40)

    assert client.flush(20)
    assert not errors
    assert server.arrived == ids


def test_an_event_that_our_api_finds_too_large_is_rejected(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.append(refusal(413, "event_too_large"))
    client = make_client()

    client.track_event("e", user_id="u")

    assert client.flush(20)
    assert [(type(error), error.reason) for error in errors] == [(EventsRejected, "event_too_large")]


def test_items_that_the_api_asks_for_again_are_told(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.append(Fault(retry=lambda place: place < 2))
    client = make_client(limits=WHOLE)

    with client.batch():
        track(client, 5)

    (error,) = errors
    assert isinstance(error, Unavailable)
    assert (error.reason, error.count, error.status) == ("log_unavailable", 2, 202)


def test_a_proxy_whose_address_cannot_be_read_is_told_and_costs_no_event(
    make_client: MakeClient, spool: Any, errors: list[TallystreamError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy:port")
    client = make_client(spool=spool)

    track(client, 5)

    assert not client.flush(1)
    assert isinstance(errors[0], Unavailable)
    assert "proxy" in str(errors[0])
    assert "secret" not in str(errors[0])
    assert client.stats().queued + client.stats().spooled == 5
    assert not client.close(0.1)
    assert client.stats().dropped == (0 if spool else 5)
    with pytest.raises(Unavailable):
        client.health()


def test_closing_again_says_the_same(server: ContractServer, make_client: MakeClient) -> None:
    server.always = Fault(drops=True)
    client = make_client()
    track(client, 1)

    assert [client.close(0.1), client.close(0.1)] == [False, False]


def test_a_decorated_function_of_a_closed_client_is_counted_as_dropped(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    client = make_client()

    @client.timed("called", user_id="u")
    def call() -> None:
        pass

    call()
    client.close()
    call()

    assert [(type(error), error.reason) for error in errors] == [(EventsDropped, "closed")]
    assert len(server.events) == 1


def test_a_server_that_says_when_is_not_asked_before(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.append(refusal(429, "throttled", **{"Retry-After": "1"}))
    client = make_client()
    started = time.monotonic()

    track(client, 1)

    assert client.flush(20)
    assert time.monotonic() - started >= 1
    assert isinstance(errors[0], Unavailable)
    assert errors[0].retry_after_seconds == 1


def test_a_slow_server_does_not_slow_the_caller(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    server.faults.append(Fault(seconds=0.5))
    client = make_client(spool=spool)
    client.track_event("e", user_id="u")
    wait_until(lambda: server.writes)

    started = time.monotonic()
    track(client, 1_000)

    assert time.monotonic() - started < 0.4
    assert client.flush()
    assert len(server.events) == 1_001


def test_a_server_that_takes_too_long_is_asked_again(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.append(Fault(seconds=0.6, takes=True))
    client = make_client(limits=Limits(flush_interval_ms=1, request_timeout_seconds=0.3))

    track(client, 5)

    assert client.flush(20)
    assert errors[0].reason == "no_answer"
    assert len(server.events) == 5


def test_a_hundred_threads_share_a_client(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    client = make_client(spool=spool)
    ids: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda user=f"u{number}": ids.append(track(client, 50, user))) for number in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.flush(30)
    assert sorted(server.events) == sorted(identifier for some in ids for identifier in some)
    assert len({identifier for some in ids for identifier in some}) == 5_000
    for some in ids:
        mine = set(some)
        assert [identifier for identifier in server.arrived if identifier in mine] == some


def test_updates_and_deletes_follow_their_event(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    client = make_client(spool=spool)

    first, second = track(client, 2)
    client.update_event(first, error=TimeoutError("too slow"), latency_ms=None, properties={"a": 1})
    client.delete_event(second)

    assert client.flush()
    assert list(server.events) == [first, second]
    assert server.changes == [
        {"op": "update", "id": first, "error": "TimeoutError: too slow", "latency_ms": None, "properties": {"a": 1}},
        {"op": "delete", "id": second},
    ]


def test_a_jumping_clock_loses_and_doubles_nothing(
    server: ContractServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, spool: Any
) -> None:
    real, ahead_ms = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead_ms[0] * 1_000_000)
    client = make_client(spool=spool)

    ids = []
    for jump_ms in (0, 3_600_000, -7_200_000, 0):
        ahead_ms[0] = jump_ms
        ids += track(client, 25)

    assert client.flush()
    assert sorted(server.events) == sorted(ids)
    assert len(set(ids)) == 100
    assert set(server.deliveries.values()) == {1}


def test_a_client_that_was_idle_goes_on(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    client = make_client(spool=spool)

    for done in range(1, 6):
        track(client, 3)
        assert client.flush(5)
        assert len(server.events) == 3 * done


def test_events_are_sent_without_a_flush(server: ContractServer, make_client: MakeClient, spool: Any) -> None:
    client = make_client(spool=spool)

    for done in range(1, 4):
        track(client, 3)
        wait_until(lambda wanted=3 * done: len(server.events) == wanted, 5)
