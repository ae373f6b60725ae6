"""The sender against an API that refuses, stalls, drops connections and asks for items again."""

import threading
import time
from collections import defaultdict

import pytest

from scripts import send_events
from scripts.failures import EndpointWrong, GaveUp, KeyRefused
from scripts.outgoing import prepare_events
from scripts.send_events import BATCH_EVENTS, Sender, describe_result


def make_events(count, users=7):
    times = (f"2018-05-02T10:{n // 60 % 60:02d}:{n % 60:02d}Z" for n in range(count))
    return list(
        prepare_events(
            {"event_name": "said", "user_id": f"u{n % users}", "timestamp": at, "properties": {"n": n}}
            for n, at in enumerate(times)
        )
    )


@pytest.fixture
def sender(api, short_times, write_key):
    return Sender(api.url, write_key, times=short_times)


def order_by_user(events):
    numbers = defaultdict(list)
    for event in events:
        numbers[event["user_id"]].append(event["properties"]["n"])
    return numbers


def test_every_event_arrives_once_and_each_users_in_order(api, sender):
    result = sender.send(make_events(5_000))

    assert (result.accepted, result.retries, result.rejected) == (5_000, 0, {})
    assert len(api.arrivals) == len(api.events) == 5_000
    assert all(numbers == sorted(numbers) for numbers in order_by_user(api.arrivals).values())
    assert max(events for _, events, _ in api.writes) == BATCH_EVENTS
    assert len(result.request_seconds) == len(api.writes)


def test_connections_are_kept_and_no_more_than_asked_for(api, sender):
    sender.send(make_events(5_000))

    assert len({address for address, _, _ in api.writes}) == 4


def test_a_request_stays_below_the_limit_of_bytes(api, sender, monkeypatch):
    monkeypatch.setattr(send_events, "BATCH_BYTES_MAX", 2_000)
    sender.send(make_events(200))

    assert max(size for _, _, size in api.writes) <= 2_000
    assert len(api.events) == 200


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_refusals_are_retried_until_all_is_accepted(api, sender, status):
    api.faults = [(status, {"message": "busy"}, {}) for _ in range(6)]
    result = sender.send(make_events(2_000))

    assert (result.accepted, result.retries) == (2_000, 6)
    assert len(api.arrivals) == 2_000


def test_retry_after_is_waited_for(api, sender):
    api.faults = [(429, {}, {"Retry-After": "1"})]
    started = time.monotonic()
    sender.send(make_events(10, users=1))

    assert time.monotonic() - started >= 1.0
    assert len(api.events) == 10


def test_dropped_connections_lose_nothing_and_count_nothing_twice(api, sender, faults):
    drop, drop_after_storing = faults
    api.faults = [drop, drop_after_storing, drop, drop_after_storing]
    result = sender.send(make_events(2_000))

    assert (result.accepted, result.retries) == (2_000, 4)
    assert len(api.events) == 2_000
    assert len(api.arrivals) > 2_000


def test_only_items_that_say_retry_are_sent_again(api, sender):
    events = make_events(400, users=1)
    api.retry_items.update({event.id: 2 for event in events[:30]})
    result = sender.send(events)

    assert result.accepted == 400
    assert [events for _, events, _ in api.writes] == [400, 30, 30]
    assert len(api.arrivals) == 400


def test_rejected_events_are_counted_by_reason_and_not_sent_again(api, sender):
    bad = list(prepare_events([{"user_id": "u1", "timestamp": n} for n in range(3)]))
    result = sender.send([*make_events(20), *bad])

    assert result.accepted == 20
    assert result.rejected == {"field_missing": 3}
    assert "field_missing 3" in describe_result(result)


def test_one_event_that_spoils_its_request_is_found_and_its_neighbours_arrive(api, sender):
    events = make_events(100, users=1)

    def refuse(lines):
        return (400, {"error": {"reason": "body_unreadable"}}, {}) if events[37].line in lines else None

    api.faults = [refuse] * 1_000
    result = sender.send(events)

    assert result.rejected == {"body_unreadable": 1}
    assert result.accepted == 99
    assert order_by_user(api.arrivals)["u0"] == [n for n in range(100) if n != 37]


def test_too_large_request_is_halved(api, sender):
    api.faults = [lambda lines: (413, {}, {}) if len(lines) > 100 else None] * 1_000

    assert sender.send(make_events(500, users=1)).accepted == 500
    assert len(api.arrivals) == 500


def test_refused_key_stops_the_run_at_once(api, short_times):
    with pytest.raises(KeyRefused, match="403"):
        Sender(api.url, "wrong", times=short_times).send(make_events(50_000))
    assert not api.events


def test_wrong_address_stops_the_run_at_once(api, sender):
    api.faults = [(404, {"message": "Not Found"}, {})] * 4

    with pytest.raises(EndpointWrong, match="404"):
        sender.send(make_events(5_000))


def test_lasting_trouble_is_given_up_with_its_reason(api, sender):
    api.faults = [(503, {"error": {"reason": "log_unavailable"}}, {})] * 100_000

    with pytest.raises(GaveUp, match="log_unavailable"):
        sender.send(make_events(10))


def test_address_where_nobody_listens_is_given_up(short_times):
    with pytest.raises(GaveUp):
        Sender("http://127.0.0.1:9", "key", times=short_times).send(make_events(10))


def test_interrupt_while_reading_stops_all_lanes(sender):
    def interrupted():
        yield from make_events(3_000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sender.send(interrupted())
    assert send_events.LANE_THREAD not in {thread.name for thread in threading.enumerate()}


def test_broken_source_is_raised_and_stops_all_lanes(sender):
    def broken():
        yield from make_events(10)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        sender.send(broken())
