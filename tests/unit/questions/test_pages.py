"""Pages of events: which keys are looked for where, and where a page is cut."""

import json
import sys
from uuid import UUID

import msgspec
import pytest

from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.cursors import read_cursor
from event_analytics.questions.event_rows import describe_event
from event_analytics.questions.pages import KEYS_MAX, PAGE_BYTES_MAX
from event_analytics.questions.question import Asked, Found
from tests.builders import ACCEPTED_MS
from tests.unit.questions.asked import PreparedSelect, asked

LAMBDA_BYTES_MAX = 6_291_556  # of an answer, https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


def a_key(number: int) -> dict[str, object]:
    return {"timestamp_ms": ACCEPTED_MS + number, "conversation_id": "c1", "id": str(UUID(int=number))}


def a_row(number: int = 0, **fields: object) -> dict[str, object]:
    return {
        **a_key(number),
        "user_id": "u1",
        "conversation_id": "",
        "event_name": "e",
        "error": "",
        "latency_ms": None,
        "properties": '{"b":1.0,"a":{}}',
        "conversation_metadata": "",
        "is_folded": 0,
        **fields,
    }


def find(request: Asked, select: PreparedSelect) -> Found:
    return BY_NAME["conversation-events"].answer(request, select)


def test_an_event_shows_null_for_what_it_lacks_and_objects_as_sent() -> None:
    event = msgspec.json.encode(describe_event(a_row()))

    assert msgspec.json.decode(event) == {
        "id": "00000000-0000-0000-0000-000000000000",
        "user_id": "u1",
        "conversation_id": None,
        "event_name": "e",
        "timestamp": "2026-09-21T14:13:20.000Z",
        "error": None,
        "latency_ms": None,
        "properties": {"b": 1.0, "a": {}},
        "conversation_metadata": None,
    }
    assert b'"properties":{"b":1.0,"a":{}}' in event


def test_a_null_that_a_merge_patch_left_does_not_show() -> None:
    text = '{"a":null,"b":{"c":null,"d":[null]}}'

    assert bytes(describe_event(a_row(properties=text, is_folded=1)).properties) == b'{"b":{"d":[null]}}'
    assert bytes(describe_event(a_row(properties=text)).properties) == text.encode()


def test_a_page_that_holds_all_rows_is_the_last() -> None:
    select = PreparedSelect([a_key(1), a_key(2)], [a_row(1), a_row(2)])

    found = find(asked("conversation-events", limit=2), select)

    assert ([event.id[-1] for event in found.rows], found.next_cursor) == (["1", "2"], None)


def test_a_page_ends_at_its_limit_and_the_next_begins_after_its_last_event() -> None:
    request = asked("conversation-events", limit=2)

    found = find(request, PreparedSelect([a_key(1), a_key(2), a_key(3)], [a_row(1), a_row(2)]))

    cursor = read_cursor(found.next_cursor, request.fingerprint)
    assert (cursor.timestamp_ms, cursor.id) == (ACCEPTED_MS + 2, UUID(int=2))
    select = PreparedSelect([a_key(3)], [a_row(3)])
    last = find(asked("conversation-events", limit=2, cursor=found.next_cursor), select)
    assert select.queries[0].parameters["after_id"] == str(UUID(int=2))
    assert last.next_cursor is None


def test_a_page_that_the_store_cut_by_bytes_goes_on_after_what_it_gave() -> None:
    request = asked("conversation-events")

    found = find(request, PreparedSelect([a_key(1), a_key(2), a_key(3)], [a_row(1)]))

    assert read_cursor(found.next_cursor, request.fingerprint).id == UUID(int=1)


def test_a_page_of_large_events_is_cut_by_bytes_and_holds_at_least_one() -> None:
    huge = a_row(1, output="x" * (PAGE_BYTES_MAX + 1))

    found = find(asked("conversation-events"), PreparedSelect([a_key(1), a_key(2)], [huge, a_row(2)]))

    assert [event.id for event in found.rows] == [huge["id"]]
    assert found.next_cursor is not None


@pytest.mark.parametrize("text", ['"', "\\", "\n", "я", "語", "⏰"])
def test_a_page_is_cut_where_lambda_would_not_deliver_it(text: str) -> None:
    rows = [a_row(number, output=text * (100_000 // len(text.encode()))) for number in range(1, 41)]

    found = find(asked("conversation-events"), PreparedSelect([a_key(number) for number in range(1, 41)], rows))

    body = msgspec.json.encode(found.rows).decode()
    assert len(json.dumps(body, ensure_ascii=sys.version_info < (3, 12)).encode()) < LAMBDA_BYTES_MAX
    assert 10 < len(found.rows) < 40
    assert found.next_cursor is not None


def test_events_that_were_deleted_between_the_phases_are_left_out() -> None:
    request = asked("conversation-events", limit=1)

    nothing = find(request, PreparedSelect([a_key(1), a_key(2)], []))
    rest = find(asked("conversation-events"), PreparedSelect([a_key(1), a_key(2)], [a_row(2)]))

    assert (list(nothing.rows), read_cursor(nothing.next_cursor, request.fingerprint).id) == ([], UUID(int=1))
    assert ([event.id[-1] for event in rest.rows], rest.next_cursor) == (["2"], None)


def test_a_large_page_asks_for_its_rows_in_parts() -> None:
    keys = [a_key(number) for number in range(KEYS_MAX + 1)]
    select = PreparedSelect(keys, [a_row(number) for number in range(KEYS_MAX)], [a_row(KEYS_MAX)])

    found = find(asked("conversation-events", limit=10_000), select)

    assert [len(query.parameters["ids"]) for query in select.queries[1:]] == [KEYS_MAX, 1]
    assert (len(found.rows), found.next_cursor) == (KEYS_MAX + 1, None)


def test_names_that_a_parameter_cannot_hold_are_left_out_and_ids_decide() -> None:
    keys = [{**a_key(number), "conversation_id": f"{number}" + "ü" * 100} for number in range(KEYS_MAX)]
    select = PreparedSelect(keys, [])

    BY_NAME["events"].answer(asked("events", limit=KEYS_MAX - 1), select)

    assert len(select.queries[1].parameters["ids"]) == KEYS_MAX - 1
    assert "conversations" not in select.queries[1].parameters
    assert "{conversations:" not in select.queries[1].sql


def test_without_keys_nothing_more_is_read() -> None:
    select = PreparedSelect([])

    assert find(asked("conversation-events"), select) == Found([])
    assert len(select.queries) == 1


@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        ({"window": "30m"}, ["21 11:30 21 12:00"]),
        ({"window": "2d"}, ["21 11:00 21 12:00", "20 11:00 21 11:00", "19 12:00 20 11:00"]),
        ({"window": "2d", "order": "asc"}, ["19 12:00 19 13:00", "19 13:00 20 13:00", "20 13:00 21 12:00"]),
    ],
)
def test_a_window_is_looked_through_from_where_the_page_begins_in_growing_parts(
    query: dict[str, object], bounds: list[str]
) -> None:
    select = PreparedSelect()

    BY_NAME["events"].answer(asked("events", **query), select)

    assert [f"{each.parameters['start'][8:16]} {each.parameters['end'][8:16]}" for each in select.queries] == bounds


def test_the_rest_of_a_window_is_left_alone_once_a_page_is_full() -> None:
    select = PreparedSelect([a_key(1), a_key(2)], [a_row(1)])

    BY_NAME["events"].answer(asked("events", limit=1), select)

    assert len(select.queries) == 2


def test_embeddings_are_read_for_events_whose_numbers_fit() -> None:
    vectors = {"input_embeddings": [0.5], "output_embeddings": []}
    lengths = [{"id": str(UUID(int=number)), "numbers": PAGE_BYTES_MAX // 20} for number in (1, 2)]
    select = PreparedSelect([a_key(1), a_key(2)], lengths, [a_row(1)], [{"id": str(UUID(int=1)), **vectors}])

    found = find(asked("conversation-events", include="embeddings"), select)

    assert [(event.input_embeddings, event.output_embeddings) for event in found.rows] == [([0.5], None)]
    assert found.next_cursor is not None


def test_only_what_is_asked_for_is_selected() -> None:
    select = PreparedSelect([a_key(1)], [a_row(1)])

    find(asked("conversation-events"), select)

    assert not any(name in query.sql for query in select.queries for name in ("input", "output", "embeddings"))
