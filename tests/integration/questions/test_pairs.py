"""Any two parameters of a list together, and all of them: page by page it is what plain Python lists."""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations, product
from typing import Any

import pytest

from event_analytics.errors import Refused
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.event_rows import TEXTS, VECTORS, columns_with
from event_analytics.questions.parameters import PROPERTY_PREFIX
from event_analytics.windows import format_instant
from tests.integration.questions import model
from tests.integration.questions.conftest import NOW

PAGE = 7  # events: a few pages of what any pair leaves
IDS = 20
MATCHING = 6  # events that satisfy all filters at once, half of them failures
CONVERSATION = "c 1'"
OF_PROPERTIES = f"{PROPERTY_PREFIX}stars"
# What each parameter is given. A cursor is what the page before gave: whoever follows pages gives it with all others.
VALUES: dict[str, list[Any]] = {
    "window": ["7d"],
    "start": ["2026-09-15T05:30:00.500Z"],
    "end": ["2026-09-21T07:45:00.250Z"],
    "limit": [5],
    "cursor": [None],
    "order": ["asc", "desc"],
    "include": ["input,output,embeddings"],
    "event_name": [model.NAMES[2]],
    "user_id": ["u1"],
    "conversation_id": [CONVERSATION],
    "has_error": ["true", "false"],
    OF_PROPERTIES: ["exists:true", ["gte:-3", "lt:6"]],
}
PATHS = {"events": "", "conversation-events": CONVERSATION}


def names_of(question: str) -> list[str]:
    names = [parameter.name for parameter in BY_NAME[question].parameters]
    return [OF_PROPERTIES if name == PROPERTY_PREFIX else name for name in names]


PAIRS = [(question, *pair) for question in PATHS for pair in combinations(names_of(question), 2)]


@pytest.fixture(scope="module")
def events(store) -> list[model.Event]:
    """Live events with texts and vectors. Half lie within the last day: what a list shows where no window is told."""
    rows = [dressed(row) for row in model.random_rows(seed=23, count=IDS)]
    rows += [matching_all(row, number) for number, row in enumerate(model.random_rows(seed=29, count=MATCHING))]
    store.insert_rows("events", "\n".join(map(json.dumps, map(without_vectors, rows))).encode(), uuid.uuid4().hex)
    live = model.live_events(rows)
    key = ("id", "conversation_id", "timestamp", "accepted_us")
    vectors = [{name: row[name] for name in (*key, *VECTORS)} for row in live if VECTORS[0] in row]
    store.insert_rows("event_embeddings", "\n".join(map(json.dumps, vectors)).encode(), uuid.uuid4().hex)
    return live


def dressed(row: model.Event) -> model.Event:
    """The row with few users and conversations, texts and vectors; all rows of an id agree."""
    number = int(row["id"][:6], 16)
    seconds = 1 + number % 86_000
    return {
        **row,
        "user_id": ("u1", "u2", "")[number % 3],
        "conversation_id": (CONVERSATION, "c2")[number // 3 % 2],
        "timestamp": format_instant(NOW - timedelta(seconds=seconds)) if number % 2 else row["timestamp"],
        "input": None if number % 5 == 0 else f"why {number}?\n",
        "output": "" if number % 7 == 0 else f"so: {number}",
        **({name: [number % 100 / 4, -0.5] for name in VECTORS} if number % 4 else {}),
    }


def matching_all(row: model.Event, number: int) -> model.Event:
    """The row as an event that every value below lets through, with an error or without one."""
    told = {"user_id": "u1", "conversation_id": CONVERSATION, "event_name": model.NAMES[2], "properties": '{"stars":5}'}
    at = format_instant(NOW - timedelta(hours=5, seconds=number))
    own = {"id": str(uuid.UUID(int=number, version=4)), "timestamp": at, "error": ("", "timeout")[number % 2]}
    return {**dressed(row), **told, **own, "is_deleted": 0}


def without_vectors(row: model.Event) -> model.Event:
    return {name: value for name, value in row.items() if name not in VECTORS}


def queries_of(*names: str) -> Iterator[dict[str, Any]]:
    """The parameters with each of their values; `end` needs `start`."""
    for values in product(*(VALUES[name] for name in names)):
        query = {name: value for name, value in zip(names, values, strict=True) if name != "cursor"}
        yield {"start": VALUES["start"][0], **query} if "end" in query else query


def bounds_of(question: str, query: dict[str, Any]) -> dict[str, str]:
    """The window that a query means."""
    if "start" in query:
        return {"end": format_instant(NOW), **{name: query[name] for name in ("start", "end") if name in query}}
    if question == "conversation-events" and "window" not in query:
        return {}
    length = timedelta(days=7) if "window" in query else timedelta(days=1)
    return {"start": format_instant(NOW - length), "end": format_instant(NOW)}


def pages_of(ask: Any, question: str, query: dict[str, Any]) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = ask(question, PATHS[question], **{"limit": PAGE, **query, **cursor})
        pages.append(answer["events"])
        if answer["next_cursor"] is None:
            return pages
        cursor = {"cursor": answer["next_cursor"]}


def expected_of(question: str, query: dict[str, Any], events: list[model.Event]) -> list[dict[str, Any]]:
    path = {"conversation_id": CONVERSATION} if PATHS[question] else {}
    filters = {name: value for name, value in query.items() if name not in ("start", "end")}
    found = model.matching(events, {**filters, **bounds_of(question, query), **path})
    wide = set(columns_with(tuple(query.get("include", "").split(",")))) & {*TEXTS, *VECTORS}
    return model.listed(found, query.get("order", "asc" if PATHS[question] else "desc"), wide)


def check(question: str, query: dict[str, Any], ask: Any, events: list[model.Event]) -> int:
    """Hold all pages of a query against the model, which must list something; how many there were."""
    pages, expected = pages_of(ask, question, query), expected_of(question, query, events)
    assert [event for page in pages for event in page] == expected != [], query
    assert {len(page) for page in pages[:-1]} <= {query.get("limit", PAGE)}, query
    return len(pages)


@pytest.mark.parametrize(("question", "one", "other"), PAIRS, ids=["-".join(pair).rstrip(".") for pair in PAIRS])
def test_any_two_parameters_list_what_the_model_lists(question: str, one: str, other: str, ask, events) -> None:
    for query in queries_of(one, other):
        if "window" in query and "start" in query:
            with pytest.raises(Refused) as refused:
                ask(question, PATHS[question], **query)
            assert str(refused.value.reason) == "window_invalid"
        else:
            check(question, query, ask, events)


@pytest.mark.parametrize("question", PATHS)
def test_all_parameters_at_once_list_what_the_model_lists(question: str, ask, events) -> None:
    queries = list(queries_of(*(name for name in names_of(question) if name != "window")))

    pages = [check(question, {**query, "limit": 2}, ask, events) for query in queries]

    assert min(pages) > 1


def test_limit_and_what_is_included_may_change_from_page_to_page(ask, events) -> None:
    first = ask("events", limit=5)
    second = ask("events", limit=PAGE, include="output", cursor=first["next_cursor"])

    narrow, wide = expected_of("events", {}, events), expected_of("events", {"include": "output"}, events)
    assert first["events"] + second["events"] == narrow[:5] + wide[5 : 5 + PAGE]
