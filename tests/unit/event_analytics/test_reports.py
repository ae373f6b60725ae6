"""Questions -> SQL, rows -> answers."""

import json
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.errors import Refused
from event_analytics.reports import (
    FIRST_PAGE,
    PAGE_BYTES_MAX,
    Cursor,
    compile_conversation,
    cut_page,
    describe_event,
    read_cursor,
    read_limit,
    refuse_unknown,
    write_cursor,
)
from tests.builders import ACCEPTED_MS


def a_row(number: int = 0, **fields: object) -> dict[str, object]:
    return {
        "id": str(UUID(int=number)),
        "user_id": "u1",
        "conversation_id": "",
        "event_name": "e",
        "timestamp_ms": ACCEPTED_MS + number,
        "error": "",
        "latency_ms": None,
        "input": None,
        "output": "",
        "properties": '{"b":1.0,"a":{}}',
        "conversation_metadata": "",
        "is_folded": 0,
        **fields,
    }


def test_an_event_shows_null_for_what_it_lacks_and_objects_as_sent() -> None:
    event = msgspec.json.encode(describe_event(a_row()))

    assert json.loads(event) == {
        "id": "00000000-0000-0000-0000-000000000000",
        "user_id": "u1",
        "conversation_id": None,
        "event_name": "e",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "error": None,
        "latency_ms": None,
        "input": None,
        "output": "",
        "properties": {"b": 1.0, "a": {}},
        "conversation_metadata": None,
    }
    assert b'"properties":{"b":1.0,"a":{}}' in event


@given(st.integers(0, 2**53), st.uuids())
def test_a_cursor_gives_back_where_it_points(timestamp_ms: int, identifier: UUID) -> None:
    cursor = Cursor(timestamp_ms, identifier)

    assert read_cursor(write_cursor(cursor)) == cursor


def test_without_cursor_the_first_page_begins() -> None:
    assert read_cursor(None) == FIRST_PAGE


@pytest.mark.parametrize("text", ["", "x", "ü", "AAAA", "MS8y", "' OR 1=1"])
def test_refuses_a_cursor_that_is_not_ours(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_cursor(text)

    assert str(refused.value.reason) == "cursor_invalid"


@pytest.mark.parametrize("text", ["0", "-1", "10001", "1000000000", "ten", "1.5", "٣", ""])
def test_refuses_a_limit_out_of_range(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_limit({"limit": text})

    assert str(refused.value.reason) == "limit_invalid"


def test_refuses_a_parameter_it_does_not_know() -> None:
    with pytest.raises(Refused) as refused:
        refuse_unknown({"windov": "7d"}, frozenset({"window"}))

    assert (str(refused.value.reason), refused.value.field) == ("parameter_unknown", "windov")


def test_a_page_that_holds_all_rows_is_the_last() -> None:
    events, next_cursor = cut_page([a_row(1), a_row(2)], limit=2)

    assert (len(events), next_cursor) == (2, None)


def test_a_page_ends_at_its_limit_and_the_next_begins_after_its_last_event() -> None:
    events, next_cursor = cut_page([a_row(1), a_row(2), a_row(3)], limit=2)

    assert len(events) == 2
    assert read_cursor(next_cursor) == Cursor(ACCEPTED_MS + 2, UUID(int=2))


def test_a_page_of_large_events_is_cut_by_bytes_and_holds_at_least_one() -> None:
    huge = a_row(1, output="x" * (PAGE_BYTES_MAX + 1))

    events, next_cursor = cut_page([huge, a_row(2)], limit=100)

    assert [event["id"] for event in events] == [huge["id"]]
    assert read_cursor(next_cursor).id == UUID(int=1)


@given(st.text(min_size=5))
def test_sql_never_holds_a_users_text(text: str) -> None:
    query = compile_conversation(text, FIRST_PAGE, 10)

    assert query.sql == compile_conversation("c", FIRST_PAGE, 10).sql
    assert query.parameters["conversation_id"] == text
