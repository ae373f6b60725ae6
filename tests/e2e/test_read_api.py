"""Reads over HTTP, through the gateway: routes, parameters, forms of answers."""

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from event_analytics.questions.catalog import QUESTIONS
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient
from tests.e2e.scheduled_jobs import run_jobs

EVENTS = 12
ROUTES = [question.route for question in QUESTIONS if question.method == "GET" and "{id}" not in question.route]


class Sent:
    """Events of one conversation whose id needs every kind of escape; nobody else uses their name."""

    def __init__(self) -> None:
        self.event_name = f"read {uuid.uuid4().hex[:8]} & 'ü'"
        self.conversation_id = f"{uuid.uuid4().hex[:8]} ü'+%41/\"&?="
        start = datetime.now(UTC) - timedelta(minutes=5)
        self.events = [self._event(start + timedelta(seconds=number), number) for number in range(EVENTS)]

    def _event(self, at: datetime, number: int) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "user_id": f"u{number % 3}",
            "conversation_id": self.conversation_id,
            "event_name": self.event_name,
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "input": f"question {number}",
            "properties": {"stars": number, "plan": {"name": "pro"}},
        }


@pytest.fixture(scope="module")
def sent(stack: Any, writer: ApiClient) -> Sent:
    sent = Sent()
    assert writer.post("/events", {"events": sent.events}).status == 202
    stack.wait_until_delivered()
    return sent


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_in_its_frame_with_and_without_a_slash_at_its_end(
    route: str, sent: Sent, reader: ApiClient
) -> None:
    answer, with_slash = (reader.get(path, event_name=sent.event_name) for path in (route, f"{route}/"))

    assert (answer.status, with_slash.status) == (200, 200)
    assert answer.body["exact"] is True
    assert answer.body["rows_read"] > 0
    assert answer.body["elapsed_ms"] > 0
    ever_other = {"generated_at", "start", "end", "rows_read", "elapsed_ms", "next_cursor"}
    rows, same_rows = (
        {name: value for name, value in body.items() if name not in ever_other}
        for body in (answer.body, with_slash.body)
    )
    assert rows == same_rows


def test_events_come_newest_first_page_by_page_with_what_is_asked_for(sent: Sent, reader: ApiClient) -> None:
    query = {"event_name": sent.event_name, "limit": EVENTS - 1, "include": "input"}
    first = reader.get("/events/", **query).body
    second = reader.get("/events", **query, cursor=first["next_cursor"]).body

    found = first["events"] + second["events"]
    assert [event["id"] for event in found] == [event["id"] for event in reversed(sent.events)]
    assert found[0]["input"] == sent.events[-1]["input"]
    assert "output" not in found[0]
    assert second["next_cursor"] is None


def test_several_comparisons_of_one_property_arrive(sent: Sent, reader: ApiClient) -> None:
    path = f"/events?event_name={quote(sent.event_name, safe='')}&order=asc"
    comparisons = "&properties.stars=gte:3&properties.stars=lt:5&properties.plan.name=pro"

    answer = reader.call("GET", path + comparisons)

    assert [event["properties"]["stars"] for event in answer.body["events"]] == [3, 4]


def test_a_parameter_that_comes_twice_is_refused_by_name(reader: ApiClient) -> None:
    answer = reader.call("GET", "/events?limit=1&limit=2")

    assert (answer.status, answer.reason, answer.body["error"]["field"]) == (400, "parameter_repeated", "limit")


def test_a_conversation_is_found_whatever_its_name(sent: Sent, reader: ApiClient) -> None:
    answer = reader.call("GET", f"/conversations/{quote(sent.conversation_id, safe='')}/events")

    assert [event["id"] for event in answer.body["events"]] == [event["id"] for event in sent.events]


def test_csv_comes_through_the_gateway(sent: Sent, reader: ApiClient) -> None:
    path = f"/events?event_name={quote(sent.event_name, safe='')}&limit=2"

    answer = reader.call("GET", path, headers={"Accept": "text/csv"})

    rows = list(csv.DictReader(io.StringIO(answer.body)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["next-cursor"]
    assert [row["id"] for row in rows] == [event["id"] for event in reversed(sent.events[-2:])]


def test_who_waits_reads_what_they_have_just_written(writer: ApiClient, reader: ApiClient) -> None:
    event = {
        "id": str(uuid.uuid4()),
        "user_id": "u",
        "event_name": "waited_for",
        "timestamp": Sent().events[0]["timestamp"],
    }
    assert writer.post("/event", event).status == 202

    answer = reader.get(f"/event/{event['id']}", wait_ms=5_000)

    assert (answer.status, answer.body.get("id")) == (200, event["id"])


def test_an_event_that_is_not_there_may_be_asked_for_again(reader: ApiClient) -> None:
    answer = reader.get(f"/event/{uuid.uuid4()}", wait_ms=100)

    assert (answer.status, answer.reason, answer.headers["retry-after"]) == (404, "event_not_found", "1")


def test_the_state_of_the_pipeline_is_known(stack: EmbeddedStack, sent: Sent, reader: ApiClient) -> None:
    stack.wait_until_delivered()
    run_jobs(stack.connection, "measure_lag")
    answer = reader.get("/reports/pipeline")

    assert answer.status == 200
    assert answer.body["freshness_ms"] >= 0
    assert answer.body["newest_loaded_at"] <= answer.body["generated_at"]
    assert all(answer.body[name] >= 0 for name in ("pending_changes", "dead_letters_24h", "spooled_objects"))
    assert (answer.body["load_lag_records"], answer.body["archive_lag_records"]) == (0, 0)
    assert answer.body["lag_measured_at"] <= answer.body["generated_at"]
    assert answer.body["load_stalled_since"] is None


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        ("/events", {"cursor": "x' OR 1=1"}, "cursor_invalid"),
        ("/events", {"properties.a": "gt:'; DROP TABLE events"}, "parameter_invalid"),
        ("/events", {"window": "10y"}, "window_invalid"),
        ("/reports/volume", {"window": "1830d", "interval": "minute"}, "parameter_invalid"),
        ("/reports/top-conversations", {"limit": 10**9}, "limit_invalid"),
        ("/conversations/c/events", {"include": "embeddings; --"}, "parameter_invalid"),
        ("/events", {"user_id": "a\0b"}, "text_invalid"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(
    path: str, query: dict[str, object], reason: str, reader: ApiClient
) -> None:
    answer = reader.get(path, **query)

    assert (answer.status, answer.reason) == (400, reason)
