"""Events made ready: every one leaves with an id that a second run gives it again."""

from uuid import UUID

import pytest

from event_analytics.identifiers import mint_uuid7
from scripts.outgoing import encode_line, prepare_events, read_time_ms

TIMED = {"event_name": "said", "user_id": "ann", "timestamp": "2018-05-02T10:00:00Z"}


def test_event_without_an_id_gets_the_same_one_in_every_run():
    first, second = (list(prepare_events([TIMED, TIMED, {**TIMED, "user_id": "bob"}])) for _ in range(2))

    assert first == second
    assert len({event.id for event in first}) == 3
    assert all(UUID(event.id).version == 8 and event.id.encode() in event.line for event in first)


def test_event_without_id_and_time_happens_now():
    (event,) = prepare_events([{"event_name": "said", "user_id": "ann"}])

    assert UUID(event.id).version == 7
    assert event.timestamp_ms is not None


@pytest.mark.parametrize("name", ["id", "event_id"])
def test_id_that_is_given_is_kept_as_it_was_sent(name):
    (event,) = prepare_events([{**TIMED, name: "0D9A6D3C-2B1F-4C55-8D5E-111111111111"}])

    assert event.id == "0d9a6d3c-2b1f-4c55-8d5e-111111111111"
    assert b"0D9A6D3C" in event.line


def test_time_inside_an_id_counts_where_no_other_is_given():
    (event,) = prepare_events([{"id": str(mint_uuid7(1_525_255_200_000, bytes(10))), "event_name": "said"}])

    assert event.timestamp_ms == 1_525_255_200_000


def test_aliases_are_understood_for_counting_and_sent_as_they_are():
    (event,) = prepare_events([{"type": "said", "ts": 1, "latency": 7, "session_id": "s", "id": "x"}])

    assert (event.event_name, event.timestamp_ms, event.latency_ms, event.ordering_key) == ("said", 1, 7.0, "s")
    assert event.line == b'{"type":"said","ts":1,"latency":7,"session_id":"s","id":"x"}'


def test_nothing_that_json_can_hold_stops_the_encoding():
    odd = {**TIMED, "output": "\ud800\0", "latency_ms": float("nan"), "user_id": 7, "id": 5, "properties": "text"}
    (event,) = prepare_events([odd])

    assert b"\\ud800" in event.line
    assert b"NaN" in event.line
    assert event.user_id == ""
    assert encode_line({"a": "\U0001f600"}) == '{"a":"\U0001f600"}'.encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2018-05-02T10:00:00", 1_525_255_200_000),
        ("2018-05-02T10:00:00.5Z", 1_525_255_200_500),
        ("2018-05-02T12:00:00+02:00", 1_525_255_200_000),
        (5, 5),
        (True, None),
        ("soon", None),
        (None, None),
        ([], None),
    ],
)
def test_time_is_read_or_not_at_all(value, expected):
    assert read_time_ms(value) == expected
