"""What an answer reads: never what is not asked for, never more than it may."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import Refused, StoreUnavailable
from event_analytics.http_exchange import RESPONSE_BYTES_MAX
from event_analytics.identifiers import mint_uuid7
from event_analytics.questions.pages import PAGE_BYTES_MAX

WEEKS = 6
EVENTS_A_WEEK = 40
TEXT_BYTES = 60_000
WIDE_BYTES_A_WEEK = 2 * EVENTS_A_WEEK * TEXT_BYTES
NARROW_BYTES_MAX = WIDE_BYTES_A_WEEK // 20
START = datetime(2026, 8, 3, 10, tzinfo=UTC)
WINDOW = {"start": "2026-08-01T00:00:00Z", "end": "2026-09-20T00:00:00Z"}
HUGE_BYTES = 900_000
HUGE_EVENTS = 24


def insert(store: ClickHouseEventStore, rows: list[dict[str, Any]]) -> None:
    store.insert_rows("events", "\n".join(map(json.dumps, rows)).encode(), uuid.uuid4().hex)


def an_event(at: datetime, conversation_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "user_id": "u1",
        "conversation_id": conversation_id,
        "event_name": "e",
        "timestamp": at.isoformat(),
        "latency_ms": 1.0,
        "properties": '{"stars":3}',
        "accepted_us": 1,
        **fields,
    }


def pages_of(ask: Any, conversation_id: str, **query: Any) -> list[list[dict[str, Any]]]:
    """The events of a conversation, page by page."""
    pages, cursor = [], {}
    while True:
        page = ask("conversation-events", conversation_id, limit=10_000, **query, **cursor)
        pages.append(page["events"])
        if page["next_cursor"] is None:
            return pages
        cursor = {"cursor": page["next_cursor"]}


@pytest.fixture(scope="module")
def wide(store) -> None:
    """Weeks of events with large texts, each week a part of its own."""
    for week in range(WEEKS):
        at = START + timedelta(weeks=week)
        insert(
            store,
            [
                an_event(at + timedelta(seconds=number), f"c{week}", input="i" * TEXT_BYTES, output="o" * TEXT_BYTES)
                for number in range(EVENTS_A_WEEK)
            ],
        )


@pytest.mark.parametrize(
    ("question", "path", "query"),
    [
        ("top-users", "", {}),
        ("latency", "", {"by": "event_name,conversation_id"}),
        ("errors", "", {"by": "error"}),
        ("top-conversations", "", {}),
        ("volume", "", {"interval": "day"}),
        ("events", "", {"properties.stars": "gte:3", "has_error": "false"}),
        ("conversation-events", "c1", {}),
    ],
)
def test_lists_and_reports_read_no_wide_column(question: str, path: str, query: dict[str, Any], ask, wide) -> None:
    answer = ask(question, path, **WINDOW, **query)

    assert answer["rows_read"] >= EVENTS_A_WEEK
    assert answer["bytes_read"] < NARROW_BYTES_MAX


def test_a_page_with_texts_reads_the_wide_data_of_its_own_rows_alone(ask, wide) -> None:
    answer = ask("events", **WINDOW, include="input,output", limit=5)

    assert [len(event["output"]) for event in answer["events"]] == [TEXT_BYTES] * 5
    # Of six parts the one in which the page lies.
    assert answer["bytes_read"] < WIDE_BYTES_A_WEEK + NARROW_BYTES_MAX


def test_only_one_text_is_read_where_one_is_asked_for(ask, wide) -> None:
    answer = ask("conversation-events", "c3", include="input", limit=5)

    assert all("output" not in event for event in answer["events"])
    assert answer["bytes_read"] < WIDE_BYTES_A_WEEK // 2 + NARROW_BYTES_MAX


def test_pages_of_huge_events_are_cut_by_bytes_in_the_store_and_lose_none(ask, store) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    insert(
        store,
        [
            an_event(at + timedelta(seconds=number), "huge", input=('\u00e9"' * (HUGE_BYTES // 3)))
            for number in range(HUGE_EVENTS)
        ],
    )
    pages = pages_of(ask, "huge", include="input")

    seen = [event["id"] for page in pages for event in page]
    sizes = [len(json.dumps(page, ensure_ascii=False).encode()) for page in pages]
    assert len(seen) == len(set(seen)) == HUGE_EVENTS
    assert max(sizes) < RESPONSE_BYTES_MAX
    assert len(sizes) > 1


def test_what_the_store_sends_for_a_page_is_no_more_than_an_answer_takes(ask, store, monkeypatch) -> None:
    sent: list[int] = []
    query = store._query

    def measured(*arguments: Any) -> bytes:
        body: bytes = query(*arguments)
        sent.append(len(body))
        return body

    monkeypatch.setattr(store, "_query", measured)
    ask("conversation-events", "huge", include="input", limit=10_000)

    assert max(sent) < PAGE_BYTES_MAX + 2 * HUGE_BYTES


def test_embeddings_are_read_where_they_are_asked_for_and_cut_by_bytes_too(ask, store) -> None:
    at, numbers = datetime(2026, 6, 1, tzinfo=UTC), [0.1234567 + n / 7 for n in range(4_096)]
    rows = [an_event(at + timedelta(seconds=number), "vectors") for number in range(60)]
    insert(store, rows)
    vectors = [
        {**{name: row[name] for name in ("id", "conversation_id", "timestamp", "accepted_us")},
         "input_embeddings": numbers, "output_embeddings": numbers} for row in rows[:-1]
    ]  # fmt: skip
    store.insert_rows("event_embeddings", "\n".join(map(json.dumps, vectors)).encode(), uuid.uuid4().hex)
    pages = pages_of(ask, "vectors", include="embeddings")

    events = [event for page in pages for event in page]
    assert len(pages) > 1
    assert [event["id"] for event in events] == [row["id"] for row in rows]
    assert [len(event["output_embeddings"] or []) for event in events] == [4_096] * 59 + [0]
    assert "input_embeddings" not in ask("conversation-events", "vectors")["events"][0]


@pytest.mark.parametrize("version", [4, 7])
def test_one_event_is_found_in_whatever_week_it_lies(version: int, ask, wide, store) -> None:
    at = {week: START + timedelta(weeks=week, hours=1) for week in range(2)}
    ids = {week: mint_uuid7(int(at[0].timestamp() * 1_000), uuid.uuid4().bytes) for week in at}  # of the first week
    ids = ids if version == 7 else {week: uuid.uuid4() for week in at}
    for week, identifier in ids.items():
        insert(store, [an_event(at[week], f"of-week-{week}", id=str(identifier))])
    elsewhere = an_event(at[1], "of-week-0", id=str(ids[0]), version=1, is_deleted=1)  # sent twice, one key settled
    insert(store, [elsewhere])

    found = {week: ask("event", str(identifier)) for week, identifier in ids.items()}

    assert {week: each["conversation_id"] for week, each in found.items()} == {0: "of-week-0", 1: "of-week-1"}
    assert all(each["bytes_read"] < NARROW_BYTES_MAX for each in found.values())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(number) FROM numbers(3000000000)",  # rows
        "SELECT repeat(toString(number), 200) AS x FROM numbers(200000)",  # bytes of the result
        "SELECT groupArray(number) FROM numbers(1000000000) SETTINGS max_memory_usage = 50000000",
        "SELECT sum(sleepEachRow(1)) FROM numbers(60) SETTINGS max_execution_time = 0.3, max_block_size = 1",
    ],
    ids=["rows", "bytes", "memory", "time"],
)
def test_a_question_over_a_limit_is_refused_and_inserts_go_on(sql: str, store) -> None:
    with pytest.raises(Refused) as refused:
        store.ask(sql, {}, 20)

    assert (str(refused.value.reason), refused.value.status) == ("query_too_heavy", 422)
    insert(store, [an_event(START, "after")])
    assert store.ask("SELECT count() AS n FROM events WHERE conversation_id = 'after'", {}, 20).rows[0]["n"] > 0


@pytest.mark.parametrize(("code", "failure"), [(202, StoreUnavailable), (241, Refused)])
def test_a_limit_of_the_user_for_questions_is_told_as_one_that_passes_or_one_of_the_question(
    code: int, failure: type[Exception], store
) -> None:
    """Too many questions at once, and too much memory of all of them: the codes that ClickHouse says both with."""
    sql = f"SELECT throwIf(1, 'as the server says it', toInt16({code})) AS x"

    with pytest.raises(failure):
        store.ask(f"{sql} SETTINGS allow_custom_error_code_in_throwif = 1", {}, 20)


def test_a_store_that_is_gone_is_unavailable(ask, store, monkeypatch) -> None:
    monkeypatch.setattr(store, "_client", None)
    monkeypatch.setattr(store, "_url", "http://127.0.0.1:9/default")

    with pytest.raises(StoreUnavailable):
        ask("top-users")
