"""`sync`: everything in the caller's thread, for programs that are frozen between calls."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contract_server import ContractServer, Fault, refusal
from tallystream import Client, EventsDropped, KeyRefused, Limits, TallystreamError
from tallystream.background_delivery import THREAD_NAME
from waiting import wait_until

MakeClient = Callable[..., Client]


def test_each_call_returns_with_its_event_settled(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client(sync=True)

    first = client.track_event("e", user_id="u")
    assert list(server.events) == [first]
    client.update_event(first, error="x")
    assert server.changes[0]["error"] == "x"
    assert not any(thread.name == THREAD_NAME for thread in threading.enumerate())


def test_a_handler_sends_its_events_together_before_it_returns(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client(sync=True)

    @client.batch()
    def handler(event: dict[str, str], _context: object) -> int:
        for number in range(10):
            client.track_event("e", user_id=event["user"], output=str(number))
        return len(server.writes)

    assert [handler({"user": "a"}, None), handler({"user": "b"}, None)] == [0, 1]
    assert len(server.writes) == 2
    assert len(server.events) == 20


def test_a_batch_larger_than_a_request_is_sent_in_parts(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client(sync=True, limits=Limits(batch_events=10, queue_events=15))

    with client.batch():
        for number in range(100):
            client.track_event("e", user_id="u", output=str(number))

    assert client.stats().dropped == 0
    assert [server.events[identifier]["output"] for identifier in server.arrived] == list(map(str, range(100)))


def test_a_handler_that_raises_has_sent_its_events(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client(sync=True)

    @client.batch()
    def handler() -> None:
        client.track_event("e", user_id="u")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handler()

    assert len(server.events) == 1


def test_a_batch_of_a_client_with_threads_is_sent_at_its_end(server: ContractServer, make_client: MakeClient) -> None:
    client = make_client(limits=Limits(flush_interval_ms=60_000))

    with client.batch():
        client.track_event("e", user_id="u")

    assert len(server.events) == 1


def test_a_call_retries_and_waits_for_a_bounded_time(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    server.faults.extend([Fault(drops=True), refusal(500, "internal_error")])
    client = make_client(sync=True, limits=Limits(sync_timeout_seconds=10))
    client.track_event("e", user_id="u")
    assert len(server.events) == 1

    server.always = refusal(503, "log_unavailable", **{"Retry-After": "30"})
    started = time.monotonic()
    client.track_event("e", user_id="u")
    assert time.monotonic() - started < 5, "there is no use in waiting longer than the call may take"
    server.always = None

    assert client.flush()
    assert len(server.events) == 2, "what a call could not send, the next one does"


def test_a_refused_key_costs_one_request_a_call(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError]
) -> None:
    client = make_client(sync=True, key="wrong")

    client.track_event("e", user_id="u")

    assert len(server.writes) == 1
    assert isinstance(errors[0], KeyRefused)


@pytest.mark.parametrize("sync", [True, False])
def test_a_callback_may_use_the_client(server: ContractServer, make_client: MakeClient, sync: bool) -> None:
    heard: list[bool] = []

    def hear(_error: TallystreamError) -> None:
        client.track_event("told", user_id="u")
        heard.append(client.flush(5))

    server.judge = lambda event: "text_invalid" if event["event_name"] == "bad" else None
    client = make_client(sync=sync, on_error=hear)
    client.track_event("bad", user_id="u")
    client.flush()

    assert heard == [False], "it would wait for itself"
    assert client.flush()


def test_with_a_spool_a_sync_client_loses_nothing_between_calls(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(status=503)
    first = make_client(sync=True, spool=tmp_path, limits=Limits(sync_timeout_seconds=0))
    first.track_event("e", user_id="u")
    assert first.stats().spooled == 1
    first.close(0)
    server.always = None

    second = make_client(sync=True, spool=tmp_path)
    second.track_event("e", user_id="u")

    assert len(server.events) == 2


def test_threads_start_at_the_first_event_and_end_with_the_client(
    server: ContractServer, make_client: MakeClient, tmp_path: Path, errors: list[TallystreamError]
) -> None:
    def threads() -> int:
        return sum(thread.name == THREAD_NAME for thread in threading.enumerate())

    before = threads()
    client = make_client(spool=tmp_path)
    assert threads() == before
    client.track_event("e", user_id="u")
    wait_until(lambda: threads() == before + 2)
    client.close()
    assert threads() == before
    client.track_event("late", user_id="u")
    assert (client.stats().tracked, client.stats().dropped, len(server.events)) == (1, 1, 1)
    assert [(type(error), error.reason) for error in errors] == [(EventsDropped, "closed")]


def test_a_call_does_not_wait_for_a_slow_server_longer_than_it_may(
    server: ContractServer, make_client: MakeClient
) -> None:
    server.always = Fault(seconds=4, takes=True)
    client = make_client(sync=True, limits=Limits(sync_timeout_seconds=0.3))
    started = time.monotonic()

    client.track_event("e", user_id="u", output="x" * 2_000)  # large enough that /health is asked

    assert time.monotonic() - started < 2
    assert client.stats().queued == 1


def test_a_thread_does_not_wait_for_anothers_sending_longer_than_it_may(
    server: ContractServer, make_client: MakeClient
) -> None:
    server.faults.append(Fault(seconds=4))
    client = make_client(sync=True)
    sending = threading.Thread(target=client.track_event, args=("e",), kwargs={"user_id": "u"})
    sending.start()
    wait_until(lambda: server.writes)
    started = time.monotonic()

    assert not client.flush(0.1)
    assert not client.close(0.1)
    assert time.monotonic() - started < 2
    sending.join()


def test_a_call_that_sends_does_not_block_for_room(server: ContractServer) -> None:
    with pytest.raises(ValueError, match="sync"):
        Client(server.url, "key", sync=True, overflow="block")
