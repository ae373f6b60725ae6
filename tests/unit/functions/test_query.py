"""HTTP reads -> answers, with prepared rows."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.errors import Refused
from functions.query import app
from tests.builders import UUID7, a_request
from tests.fakes import FakeEventStore, FakeKeySource

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
    "properties": "",
    "conversation_metadata": "",
    "is_deleted": 0,
    "is_folded": 0,
}


@pytest.fixture
def deps() -> app.Deps:
    return app.Deps(store=FakeEventStore(), keys=FakeKeySource(), now=lambda: NOW, kafka_durability="memory")


def ask(handle: Any, deps: Any, *answers: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    deps.store.answers = list(answers)
    answer = handle(a_request(key=deps.keys.read_key, **fields), deps)
    assert answer.status == 200
    return dict(json.loads(answer.body))


def test_top_users_answers_users_totals_and_window(deps: app.Deps) -> None:
    rows = [{"user_id": "u1", "events": 3, "events_total": 4, "users_total": 2}]

    assert ask(app.handle_top_users, deps, rows, query={"window": "1h", "limit": "1"}) == {
        "users": [{"user_id": "u1", "events": 3}],
        "events_total": 4,
        "users_total": 2,
        "exact": True,
        "generated_at": "2026-09-21T12:00:00.000Z",
        "start": "2026-09-21T11:00:00.000Z",
        "end": "2026-09-21T12:00:00.000Z",
        "next_cursor": None,
    }


def test_an_empty_window_has_no_users(deps: app.Deps) -> None:
    answer = ask(app.handle_top_users, deps, [])

    assert (answer["users"], answer["events_total"], answer["users_total"]) == ([], 0, 0)


def test_latency_answers_quantiles_by_event_name(deps: app.Deps) -> None:
    rows = [{"event_name": "e", "events": 9, "quantiles": [1.0, 2.0, 3.0]}]

    assert ask(app.handle_latency, deps, rows)["latency"] == [
        {"event_name": "e", "events": 9, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    ]


def test_one_event_comes_with_its_embeddings(deps: app.Deps) -> None:
    embeddings = [{"input_embeddings": [0.5], "output_embeddings": []}]

    event = ask(app.handle_event, deps, [ROW], embeddings, path_parameters={"id": UUID7})

    assert (event["id"], event["output"], event["input_embeddings"], event["output_embeddings"]) == (
        UUID7,
        "hi",
        [0.5],
        None,
    )


@pytest.mark.parametrize(
    ("rows", "reason", "status"),
    [([], "event_not_found", 404), ([{**ROW, "is_deleted": 1}], "event_deleted", 410)],
)
def test_an_event_that_is_not_there_says_why(
    deps: app.Deps, rows: list[dict[str, Any]], reason: str, status: int
) -> None:
    with pytest.raises(Refused) as refused:
        ask(app.handle_event, deps, rows, path_parameters={"id": UUID7})

    assert (str(refused.value.reason), refused.value.status) == (reason, status)


@pytest.mark.parametrize(
    ("handle", "fields", "reason"),
    [
        (app.handle_event, {"path_parameters": {"id": "12"}}, "id_invalid"),
        (app.handle_event, {"path_parameters": {"id": UUID7}, "query": {"x": "1"}}, "parameter_unknown"),
        (app.handle_conversation, {"path_parameters": {"id": "c" * 129}}, "text_too_long"),
        (app.handle_conversation, {"path_parameters": {"id": "c"}, "query": {"cursor": "?"}}, "cursor_invalid"),
        (app.handle_top_users, {"query": {"window": "soon"}}, "window_invalid"),
        (app.handle_top_users, {"query": {"limit": "1000000000"}}, "limit_invalid"),
    ],
)
def test_refuses_a_wrong_question(deps: app.Deps, handle: Any, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(handle, deps, **fields)

    assert (str(refused.value.reason), refused.value.status) == (reason, 400)


def test_a_writing_key_may_not_read(deps: Any) -> None:
    with pytest.raises(Refused) as refused:
        app.handle_top_users(a_request(key=deps.keys.write_key), deps)

    assert str(refused.value.reason) == "scope_missing"


@pytest.mark.parametrize(("is_down", "status", "state"), [(False, 200, "ok"), (True, 503, "degraded")])
def test_health_says_whether_the_store_answers(deps: Any, is_down: bool, status: int, state: str) -> None:
    deps.store.is_down = is_down
    answer = app.handle_health(a_request(), deps)

    assert answer.status == status
    assert json.loads(answer.body)["status"] == state
    assert json.loads(answer.body)["kafka_durability"] == "memory"
