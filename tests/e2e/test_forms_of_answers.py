"""Every question, asked for as JSON and as CSV, gives the same rows; and so do the largest pages that there are."""

import csv
import io
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from event_analytics.http_exchange import RESPONSE_BYTES_MAX
from event_analytics.questions.asking import read_asked
from event_analytics.questions.catalog import BY_NAME, QUESTIONS
from tests.builders import a_request
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient, Response

START = datetime(2012, 4, 2, tzinfo=UTC)  # a day that no other test uses
DAY = {"start": START.isoformat(), "end": (START + timedelta(days=1)).isoformat()}
CONVERSATION = 'c, "1" ü'
IDS = [str(uuid.uuid4()) for _ in range(8)]
WIDE = {"include": "input,output,embeddings"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("top-users", DAY),
    *(("latency", {**DAY, "by": by}) for by in ("event_name", "conversation_id", "event_name,conversation_id")),
    *(("errors", {**DAY, "by": by}) for by in ("event_name", "error")),
    *(("top-conversations", {**DAY, "by": by}) for by in ("error_rate", "errors", "events", "latency")),
    ("volume", {**DAY, "interval": "hour"}),
    ("events", DAY),
    ("events", {**DAY, **WIDE, "limit": 5}),
    ("conversation-events", {}),
    ("conversation-events", WIDE),
    ("event", {}),
    ("similar-events", {"embedding": [1, 0.5], "start": DAY["start"], "end": DAY["end"]}),
]
PATHS = {"conversation-events": CONVERSATION, "event": IDS[0]}

HUGE_BYTES = 880_000  # of a text as JSON; an event takes 900,000 with the rest
HUGE_TEXTS = ['"' * (HUGE_BYTES // 2), "я" * (HUGE_BYTES // 2)]  # what is escaped most on its way through Lambda
HUGE_EVENTS = 6
HUGE_DAY = {
    "start": (START + timedelta(days=7)).isoformat(),
    "end": (START + timedelta(days=8)).isoformat(),
    "include": "input",
}
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; the gateway takes 10 MB
LAMBDA_BYTES_MAX = 6_291_556


def an_event(number: int) -> dict[str, Any]:
    """Events that have everything and such that lack nearly all, with what CSV has to quote."""
    at = (START + timedelta(hours=3, minutes=number)).isoformat()
    event = {"id": IDS[number], "user_id": f"u{number % 2}", "event_name": ("a,b", "=1+1")[number % 2], "timestamp": at}
    if number % 4 == 3:
        return event
    return {
        **event,
        "conversation_id": CONVERSATION,
        "error": ("", 'said "no",\r\nthen left')[number % 2],
        "latency_ms": (12, 0.125, 1e21)[number % 3],
        "properties": {"plan": 'pro, "x"', "deep": [1.5, None, {"ü": True}]},
        "conversation_metadata": {"channel": "web"},
        "input": ("why?\n", "")[number % 2],
        "output": " so\t",
        "input_embeddings": [0.5 + number, -1.25],
    }


@pytest.fixture(scope="module")
def sent(stack: EmbeddedStack, writer: ApiClient) -> None:
    # Without spaces: objects are shown as they were sent.
    body = as_text({"events": [an_event(number) for number in range(len(IDS))]}).encode()
    answer = writer.call("POST", "/events", body, {"Content-Type": "application/json"})
    assert (answer.status, answer.body["accepted"]) == (202, len(IDS))
    stack.wait_until_delivered()


def as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def ask(reader: ApiClient, name: str, query: dict[str, Any], accept: str) -> Response:
    question = BY_NAME[name]
    path = question.route.replace("{id}", quote(PATHS.get(name, ""), safe=""))
    if question.method == "POST":
        return reader.post(path, query, Accept=accept)
    return reader.call("GET", f"{path}?{urlencode(query)}", headers={"Accept": accept})


def columns_of(name: str, query: dict[str, Any]) -> list[str]:
    """The header that the catalogue promises."""
    question = BY_NAME[name]
    told = {"body": query} if question.method == "POST" else {"query": {key: str(query[key]) for key in query}}
    request = a_request(**told, path_parameters={"id": PATHS.get(name, "")})
    return list(question.columns_of(read_asked(question, request, datetime.now(UTC))))


def cell_of(value: Any) -> str:
    """A JSON value as CSV holds it."""
    if value is None or isinstance(value, str):
        return value or ""
    return as_text(value)


@pytest.mark.parametrize(("name", "query"), ASKED, ids=[f"{n}-{q.get('by', '')}{len(q)}" for n, q in ASKED])
def test_csv_has_the_rows_of_json(name: str, query: dict[str, Any], reader: ApiClient, sent: None) -> None:
    as_json, as_csv = (ask(reader, name, query, accept) for accept in ("application/json", "text/csv"))

    assert (as_json.status, as_csv.status) == (200, 200)
    assert as_json.headers["content-type"] == "application/json"
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = as_json.body[BY_NAME[name].rows_name] if BY_NAME[name].rows_name else [as_json.body]
    header, *cells = csv.reader(io.StringIO(as_csv.body, newline=""))
    assert header == columns_of(name, query)
    assert cells == [[cell_of(row[column]) for column in header] for row in rows] != []
    assert {frozenset(row) for row in rows} == {frozenset(header)}
    assert as_csv.headers.get("next-cursor") == (as_json.body.get("next_cursor") or None)


def test_every_question_of_the_catalogue_is_asked_in_both_forms() -> None:
    assert {name for name, _ in ASKED} == {question.name for question in QUESTIONS}


def test_pages_of_huge_events_pass_lambda_and_hold_every_event_once(
    stack: EmbeddedStack, writer: ApiClient, reader: ApiClient
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(HUGE_EVENTS)]
    for number, identifier in enumerate(ids):
        at = (START + timedelta(days=7, hours=number)).isoformat()
        event = {"id": identifier, "user_id": "huge", "event_name": "huge", "timestamp": at}
        assert writer.post("/event", {**event, "input": HUGE_TEXTS[number % 2]}).status == 202
    stack.wait_until_delivered()

    pages, cursor = [], {}
    while not pages or cursor:
        page = reader.get("/events", **HUGE_DAY, **cursor)
        pages.append(page)
        cursor = {"cursor": page.body["next_cursor"]} if page.body["next_cursor"] else {}

    shown = [(event["id"], event["input"]) for page in pages for event in page.body["events"]]
    assert shown == [(ids[number], HUGE_TEXTS[number % 2]) for number in reversed(range(HUGE_EVENTS))]
    assert len(pages) < HUGE_EVENTS  # not one by one
    for page in pages:
        body = as_text(page.body)
        assert len(body.encode()) < RESPONSE_BYTES_MAX
        assert len(json.dumps(body, ensure_ascii=sys.version_info < (3, 12)).encode()) < LAMBDA_BYTES_MAX
