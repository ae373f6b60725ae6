"""HTTP reads -> answers, with prepared rows."""

import csv
import io
import json
import tomllib
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from event_analytics.errors import Refused
from event_analytics.http_exchange import RESPONSE_BYTES_MAX, Answer
from event_analytics.kept_lag import Lags, keep_lag
from event_analytics.observability import InvocationLine
from event_analytics.ports import Reading
from event_analytics.questions.catalog import BY_NAME, QUESTIONS
from functions.query import app
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY
from tests.builders import UUID7, a_request
from tests.fakes import FakeEventStore, FakeKeySource, FakeObjectStore

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
ROW = {
    "id": UUID7,
    "user_id": "u1",
    "conversation_id": "c1",
    "event_name": "e",
    "timestamp_ms": 1_790_000_000_000,
    "error": "",
    "latency_ms": 3.5,
    "input": None,
    "output": "hi",
    "properties": '{"a": "x,\\"y"}',
    "conversation_metadata": "",
    "is_deleted": 0,
    "is_folded": 0,
}
KEY = {name: ROW[name] for name in ("id", "timestamp_ms", "conversation_id")}


class Clock:
    """Seconds that pass only while somebody sleeps. `at`: what happens after so many sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps = 0
        self.at: dict[int, Any] = {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps += 1
        self.at.get(self.sleeps, lambda: None)()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deps(clock: Clock) -> app.Deps:
    return app.Deps(
        store=FakeEventStore(),
        objects=FakeObjectStore(),
        keys=FakeKeySource(),
        now=lambda: NOW,
        clock=clock,
        sleep=clock.sleep,
        kafka_durability="memory",
    )


def call(question: str, deps: Any, *answers: list[dict[str, Any]], **fields: Any) -> Answer:
    deps.store.answers = list(answers)
    request = a_request(key=deps.keys.read_key, **fields)
    return app.handle_question(BY_NAME[question], request, deps, InvocationLine())


def ask(question: str, deps: Any, *answers: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    answer = call(question, deps, *answers, **fields)
    assert answer.status == 200
    return dict(json.loads(answer.body))


def test_an_answer_stands_in_its_frame(deps: app.Deps) -> None:
    rows = [{"user_id": "u1", "events": 3, "events_total": 4, "keys_total": 2}]

    assert ask("top-users", deps, rows, query={"window": "1h", "limit": "1"}) == {
        "users": [{"user_id": "u1", "events": 3}],
        "events_total": 4,
        "users_total": 2,
        "exact": True,
        "generated_at": "2026-09-21T12:00:00.000Z",
        "start": "2026-09-21T11:00:00.000Z",
        "end": "2026-09-21T12:00:00.000Z",
        "next_cursor": None,
        "rows_read": 1,
        "elapsed_ms": 0.0,
    }


def test_what_all_queries_of_an_answer_read_is_added_up(deps: app.Deps) -> None:
    answer = ask("conversation-events", deps, [KEY], [ROW], path_parameters={"id": "c1"})

    assert (answer["rows_read"], answer["start"], answer["end"]) == (2, None, None)


def test_one_event_comes_with_everything_it_has(deps: app.Deps) -> None:
    embeddings = [{"input_embeddings": [0.5], "output_embeddings": []}]

    event = ask("event", deps, [ROW], embeddings, path_parameters={"id": UUID7})

    shown = [event[name] for name in ("id", "input", "output", "input_embeddings", "output_embeddings")]
    assert shown == [UUID7, None, "hi", [0.5], None]


@pytest.mark.parametrize(
    ("rows", "reason", "status", "retry_after"),
    [([], "event_not_found", 404, 1), ([{**ROW, "is_deleted": 1}], "event_deleted", 410, None)],
)
def test_an_event_that_is_not_there_says_why_and_when_to_ask_again(
    deps: app.Deps, rows: list[dict[str, Any]], reason: str, status: int, retry_after: int | None
) -> None:
    with pytest.raises(Refused) as refused:
        ask("event", deps, rows, rows, path_parameters={"id": UUID7})

    assert (str(refused.value.reason), refused.value.status) == (reason, status)
    assert refused.value.retry_after_seconds == retry_after


def test_a_caller_who_waits_gets_the_event_as_soon_as_it_shows(deps: Any, clock: Clock) -> None:
    clock.at[3] = lambda: deps.store.answers.extend([[ROW], []])

    event = ask("event", deps, path_parameters={"id": UUID7}, query={"wait_ms": "5000"})

    assert (event["id"], clock.sleeps) == (UUID7, 3)


def test_a_caller_who_waits_is_told_when_the_time_is_up(deps: Any, clock: Clock) -> None:
    with pytest.raises(Refused) as refused:
        ask("event", deps, path_parameters={"id": UUID7}, query={"wait_ms": "500"})

    assert str(refused.value.reason) == "event_not_found"
    assert clock.now - 100 == pytest.approx(0.5, abs=app.POLL_SECONDS)


def test_all_queries_of_an_answer_share_its_time(deps: Any, clock: Clock) -> None:
    def ask_slowly(sql: str, parameters: Any, seconds_max: float) -> Reading:
        given.append(seconds_max)
        clock.now += 9
        return Reading([KEY, {**KEY, "id": str(uuid.uuid4())}], rows_read=2, bytes_read=0, elapsed_ms=9_000.0)

    given: list[float] = []
    deps.store.ask = ask_slowly
    with pytest.raises(Refused) as refused:
        call("events", deps, query={"window": "1830d", "user_id": "u1"})

    assert str(refused.value.reason) == "query_too_heavy"
    assert given == [20.0, 11.0, 2.0]


def test_a_deleted_event_is_not_waited_for(deps: Any, clock: Clock) -> None:
    deleted = [{**ROW, "is_deleted": 1}]

    with pytest.raises(Refused):
        ask("event", deps, deleted, deleted, path_parameters={"id": UUID7}, query={"wait_ms": "5000"})

    assert clock.sleeps == 0


@pytest.mark.parametrize("accept", ["text/csv", "text/csv;q=0.9, */*", "TEXT/CSV, application/json"])
def test_rows_come_as_csv_to_who_accepts_it(deps: app.Deps, accept: str) -> None:
    answer = call("events", deps, [KEY, KEY], [ROW], query={"limit": "1"}, headers={"accept": accept})

    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Next-Cursor"]
    assert rows == [
        {
            "id": UUID7,
            "user_id": "u1",
            "conversation_id": "c1",
            "event_name": "e",
            "timestamp": "2026-09-21T14:13:20.000Z",
            "error": "",
            "latency_ms": "3.5",
            "properties": '{"a": "x,\\"y"}',
            "conversation_metadata": "",
        }
    ]


@pytest.mark.parametrize(
    ("accept", "shown"),
    [("text/csv", "=1+1"), ("text/csv; formulas=escaped", "'=1+1"), ("text/csv;q=1;Formulas=Escaped, */*", "'=1+1")],
)
def test_texts_are_no_formulas_for_who_opens_them_in_a_spreadsheet(deps: app.Deps, accept: str, shown: str) -> None:
    row = {**ROW, "user_id": "=1+1", "error": "a=b", "latency_ms": -3.5}
    answer = call("events", deps, [KEY, KEY], [row], query={"limit": "1"}, headers={"accept": accept})

    (cells,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert (cells["user_id"], cells["error"], cells["latency_ms"]) == (shown, "a=b", "-3.5")
    assert ("formulas=escaped" in answer.headers["Content-Type"]) is shown.startswith("'")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, text/csv", "text/html"])
def test_everybody_else_gets_json(deps: app.Deps, accept: str) -> None:
    answer = call("top-users", deps, headers={"accept": accept})

    assert answer.headers["Content-Type"] == "application/json"


def test_csv_of_no_rows_has_a_header_row(deps: app.Deps) -> None:
    answer = call("latency", deps, query={"by": "conversation_id"}, headers={"accept": "text/csv"})

    assert answer.body == b"conversation_id,events,p50_ms,p95_ms,p99_ms\r\n"


@pytest.mark.parametrize(("text", "accept"), [("x", ""), ('"', ""), ("\x01", "text/csv")])
def test_an_answer_over_4_mb_or_over_what_lambda_delivers_is_refused(deps: Any, text: str, accept: str) -> None:
    length = RESPONSE_BYTES_MAX if text == "x" else 1_600_000  # escaped twice: 6.4 MB
    row = {"error": text * length, "events": 1, "errors": 1}

    with pytest.raises(Refused) as refused:
        call("errors", deps, [row], query={"by": "error"}, headers={"accept": accept})

    assert (str(refused.value.reason), refused.value.status) == ("query_too_heavy", 422)


@pytest.mark.parametrize("question", [question.name for question in QUESTIONS])
def test_no_question_is_answered_without_a_key_that_may_read(deps: Any, question: str) -> None:
    for key, reason in ((deps.keys.write_key, "scope_missing"), (None, "key_missing")):
        with pytest.raises(Refused) as refused:
            app.handle_question(BY_NAME[question], a_request(key=key), deps, InvocationLine())

        assert str(refused.value.reason) == reason


def ask_pipeline(deps: Any) -> dict[str, Any]:
    answer = app.handle_pipeline(a_request(key=deps.keys.read_key), deps, InvocationLine())
    assert answer.status == 200
    return dict(json.loads(answer.body))


def test_the_state_of_the_pipeline_counts_what_waits_and_what_failed(deps: Any) -> None:
    deps.store.answers = [[{"newest_us": int(NOW.timestamp() * 1e6) - 1_500_000}], [{"pending": 3}]]
    entry = "dead-letters/by-hour/v1/date=2026-09-21/hour=11/topic=events/a.json"
    for name in (entry, "spool/v1/1.json", "spool/v1/2.json", "raw/v1/x"):
        deps.objects.put_new(name, b"")
    keep_lag(deps.objects, Lags(4, 5, 6), int(NOW.timestamp() * 1_000) - 20_000)

    assert ask_pipeline(deps) == {
        "generated_at": "2026-09-21T12:00:00.000Z",
        "newest_loaded_at": "2026-09-21T11:59:58.500Z",
        "freshness_ms": 1_500,
        "load_lag_records": 4,
        "archive_lag_records": 5,
        "lag_measured_at": "2026-09-21T11:59:40.000Z",
        "load_stalled_since": None,
        "pending_changes": 3,
        "dead_letters_24h": 1,
        "spooled_objects": 2,
    }


def test_where_nothing_happened_the_state_is_known_all_the_same(deps: Any) -> None:
    deps.store.answers = [[{"newest_us": 0}], [{"pending": 0}]]

    state = ask_pipeline(deps)

    assert (state["dead_letters_24h"], state["newest_loaded_at"], state["freshness_ms"]) == (0, None, None)
    assert (state["load_lag_records"], state["lag_measured_at"]) == (None, None)


def test_of_a_part_that_does_not_answer_the_state_knows_nothing(deps: Any) -> None:
    deps.store.is_down = True
    without_store = ask_pipeline(deps)
    deps.store.is_down = False
    deps.store.answers = [[{"newest_us": 0}], [{"pending": 0}]]
    deps.objects.list = lambda *_where: refuse_connection()
    without_objects = ask_pipeline(deps)

    assert (without_store["pending_changes"], without_store["spooled_objects"]) == (None, 0)
    assert (without_objects["pending_changes"], without_objects["spooled_objects"]) == (0, None)


def test_a_lag_that_s3_does_not_give_leaves_the_other_figures(deps: Any) -> None:
    deps.store.answers = [[{"newest_us": 0}], [{"pending": 0}]]
    deps.objects.get = lambda _name: refuse_connection()

    state = ask_pipeline(deps)

    assert (state["load_lag_records"], state["spooled_objects"], state["dead_letters_24h"]) == (None, 0, 0)


def refuse_connection() -> Any:
    raise EndpointConnectionError(endpoint_url="s3")


@pytest.mark.parametrize(("is_down", "status", "state"), [(False, 200, "ok"), (True, 503, "degraded")])
def test_health_says_whether_the_store_answers(deps: Any, is_down: bool, status: int, state: str) -> None:
    deps.store.is_down = is_down
    answer = app.handle_health(a_request(), deps, InvocationLine())

    assert answer.status == status
    assert json.loads(answer.body)["status"] == state
    assert json.loads(answer.body)["kafka_durability"] == "memory"


def test_health_says_how_bodies_may_travel(deps: Any) -> None:
    answer = app.handle_health(a_request(), replace(deps, request_encodings=["gzip"]), InvocationLine())

    assert json.loads(answer.body)["request_encodings"] == ["gzip"]


def test_health_says_the_version_of_the_project(deps: Any) -> None:
    answer = app.handle_health(a_request(), deps, InvocationLine())

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert json.loads(answer.body)["version"] == project["version"]


def test_routes_are_those_of_the_template() -> None:
    function = read_template(REPOSITORY / "template.yaml")["Resources"]["QueryFunction"]["Properties"]
    events = [event["Properties"] for event in function["Events"].values()]

    routes = {(method, path) for path, methods in app.app.routes.items() for method in methods}
    assert routes == {(event["Method"], event["Path"]) for event in events}


def test_the_page_and_its_files_are_served_to_whoever_asks(deps: app.Deps) -> None:
    page = app.handle_page(a_request(), deps, InvocationLine())
    script = app.handle_page(
        a_request(query={"asset": "app.js", "v": deps.dashboard().version}), deps, InvocationLine()
    )

    assert page.body == deps.dashboard().page
    assert script.body == deps.dashboard().files["app.js"]
    assert "immutable" in script.headers["Cache-Control"]
    with pytest.raises(Refused):
        app.handle_page(a_request(query={"asset": "../settings.py"}), deps, InvocationLine())
