"""Every answer equals plain Python over the same events, whatever is asked of it."""

import json
import random
import uuid
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest

from event_analytics.questions.catalog import BY_NAME
from tests.integration.questions import model
from tests.plain_sql import as_answered, read_plain_questions

SQL = "x' OR 1=1; DROP TABLE events; --"
WINDOW = {"start": "2026-09-15T05:30:00.500Z", "end": "2026-09-19T17:45:00.250Z"}
FRAME = {"exact", "generated_at", "start", "end", "next_cursor", "rows_read", "elapsed_ms", "bytes_read"}
COMPARISONS = [
    ("properties.stars", comparison)
    for comparison in (
        "5", "5.0", "2.5", "-3", "pro", "true", "eq:", "ne:5", "ne:pro", "gt:2", "gte:2.5", "lt:5", "lte:-3",
        "exists:true", "exists:false", "9007199254740993", "1e20", SQL, ["gt:1", "lt:5"],
    )
] + [("properties.pl'an", "pro"), ("properties.deep.er", "exists:true"), ("properties.deep.er.n", "1")]  # fmt: skip
FILTERS: list[tuple[str, Any]] = [
    *COMPARISONS,
    *[("event_name", name) for name in (*model.NAMES, SQL)],
    *[("user_id", user) for user in ("u1", "u2", SQL)],
    *[("conversation_id", conversation) for conversation in ("c1", SQL)],
    *[("has_error", flag) for flag in ("true", "false")],
]
FILTERS_PER_REPORT = 6
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "top-users": [{}],
    "latency": [{"by": by} for by in ("event_name", "conversation_id", "event_name,conversation_id")],
    "errors": [{"by": by} for by in ("event_name", "error")],
    "top-conversations": [
        {"by": by, "min_events": n} for by, n in product(("error_rate", "errors", "events", "latency"), (1, 9))
    ],
    "volume": [{"interval": "hour"}, {"interval": "day"}],
}


@pytest.fixture(scope="module")
def events(store) -> list[model.Event]:
    """Live events; their rows went in as three inserts, so that parts hold different versions of one id."""
    rows = model.random_rows(seed=11, count=1_500)
    for first in range(0, len(rows), 800):
        store.insert_rows("events", "\n".join(map(json.dumps, rows[first : first + 800])).encode(), uuid.uuid4().hex)
    return model.live_events(rows)


def body_of(answer: dict[str, Any]) -> dict[str, Any]:
    assert set(answer) > FRAME
    assert answer["exact"] is True
    return {name: value for name, value in answer.items() if name not in FRAME}


@pytest.mark.parametrize(
    ("question", "options"), [(name, options) for name, all_options in OPTIONS.items() for options in all_options]
)
def test_a_report_equals_the_model_whatever_is_filtered(question: str, options: dict[str, Any], ask, events) -> None:
    some = random.Random(str(options)).sample(FILTERS, FILTERS_PER_REPORT)  # the lists below go through all of them
    for filters in [(), *((each,) for each in some), tuple(some[:2])]:
        query = {**WINDOW, **options, **dict(filters)}
        limit = {} if question == "volume" else {"limit": 25}

        expected = model.REPORTS[question](model.matching(events, query), **query, **limit)
        assert body_of(ask(question, **query, **limit)) == expected, query


def test_any_pair_of_filters_lists_what_the_model_lists(ask, events) -> None:
    pairs = [pair for pair in combinations(FILTERS, 2) if pair[0][0] != pair[1][0]]
    for pair in random.Random(5).sample(pairs, 30):
        query = {**WINDOW, **dict(pair), "order": "asc"}

        expected = model.listed(model.matching(events, query), "asc")
        assert ask("events", **query, limit=10_000)["events"] == expected, query


@pytest.mark.parametrize("filters", FILTERS, ids=lambda value: str(value)[:40])
def test_a_list_equals_the_model_under_every_filter(filters: tuple[str, Any], ask, events) -> None:
    query = {**WINDOW, **dict([filters])}

    assert ask("events", **query, limit=10_000)["events"] == model.listed(model.matching(events, query))


@pytest.mark.parametrize(("order", "limit"), [("desc", 1), ("desc", 97), ("asc", 60)])
def test_pages_are_the_list_in_order_without_gap_or_repetition(order: str, limit: int, ask, events) -> None:
    query = {"start": "2026-09-15T00:00:00.000Z", "end": "2026-09-15T06:00:00.000Z" if limit == 1 else WINDOW["end"]}
    pages, cursor = [], {}
    while True:
        page = ask("events", **query, order=order, limit=limit, **cursor)
        pages.append(page["events"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert all(len(page) == limit for page in pages[:-1])
    assert [event for page in pages for event in page] == model.listed(model.matching(events, query), order)


def test_a_conversation_comes_in_the_order_of_time(ask, events) -> None:
    expected = model.listed(model.matching(events, {"conversation_id": "c1"}), "asc")
    inside = model.listed(model.matching(events, {"conversation_id": "c1", **WINDOW}), "asc")

    assert ask("conversation-events", "c1", limit=1_000)["events"] == expected
    assert ask("conversation-events", "c1", **WINDOW)["events"] == inside
    assert ask("conversation-events", SQL)["events"] == []


def test_later_events_move_no_page_and_a_window_that_ends_now_stays_where_it_was(ask, events, store) -> None:
    first = ask("events", window="7d", limit=30)
    earlier = datetime.fromisoformat(first["events"][-1]["timestamp"]) - timedelta(hours=1)
    ids = [str(uuid.uuid4()) for _ in range(2)]
    rows = [
        {"id": identifier, "user_id": "late", "event_name": "e", "timestamp": at, "accepted_us": model.ACCEPTED_US}
        for identifier, at in zip(ids, (first["events"][0]["timestamp"], earlier.isoformat()), strict=True)
    ]
    store.insert_rows("events", "\n".join(map(json.dumps, rows)).encode(), uuid.uuid4().hex)

    second = ask("events", window="7d", limit=30, cursor=first["next_cursor"])

    assert (second["start"], second["end"]) == (first["start"], first["end"])
    shown = [event["id"] for event in first["events"] + second["events"]]
    assert len(shown) == len(set(shown)) == 60
    assert ids[0] not in shown
    for row in rows:
        tombstone = {**row, "version": 2 * model.FOLDED, "is_deleted": 1}
        store.insert_rows("events", json.dumps(tombstone).encode(), uuid.uuid4().hex)


@pytest.mark.parametrize(
    ("file", "question", "parameters"),
    [
        ("top_users", "top-users", {}),
        ("errors_by_event", "errors", {"event_name": model.NAMES[1]}),
        ("latency_by_event_and_session", "latency", {}),
        ("session_timeline", "conversation-events", {}),
        ("top_sessions_by_error_rate", "top-conversations", {"min_events": 3}),
    ],
)
def test_the_plain_sql_of_a_question_gives_the_rows_of_its_answer(
    file: str, question: str, parameters: dict[str, Any], ask, events, store
) -> None:
    plain = read_plain_questions()[file]
    path = "c1" if question == "conversation-events" else ""
    told = {"conversation_id": path} if path else WINDOW
    own = {name: value for name, value in plain.query.items() if name != "window"}

    rows = store.select(plain.sql, plain.parameters({**told, **parameters, "limit": 20}))

    answered = ask(question, path, **({} if path else WINDOW), **{**own, **parameters, "limit": 20})
    shown = answered[BY_NAME[question].rows_name]
    assert plain.path == BY_NAME[question].route.replace("{id}", "{conversation_id}")
    assert [as_answered(row) for row in rows] == [{name: each[name] for name in rows[0]} for each in shown] != []
