"""Reads: what is asked, how often, and what type comes back."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from contract_server import KEY, ContractServer, Fault
from tallystream import (
    AsyncClient,
    Client,
    Event,
    KeyRefused,
    NotFound,
    RequestRefused,
    SimilarEvent,
    Unavailable,
    UserCount,
)
from tallystream.wire import write_json

MakeClient = Callable[..., Client]
START = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone.utc)
AT = "2026-01-02T03:04:05.678Z"
FRAME = {
    "exact": True, "generated_at": AT, "start": AT, "end": AT, "next_cursor": None, "rows_read": 5, "elapsed_ms": 1.5,
}  # fmt: skip
ROW = {
    "id": "i", "user_id": "u", "conversation_id": None, "event_name": "e", "timestamp": AT, "error": None,
    "latency_ms": 2.5, "properties": {"a": 1}, "conversation_metadata": None,
}  # fmt: skip
LATENCY = {"event_name": "e", "events": 3, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": None}
CONVERSATION = {
    "conversation_id": "c", "events": 3, "errors": 1, "error_rate": 0.5, "p95_ms": None, "started_at": AT,
    "ended_at": AT,
}  # fmt: skip
BUCKET = {"start": AT, "events": 1, "users": 1, "errors": 0, "error_rate": 0.0, "p50_ms": None, "p95_ms": None}
TOTALS = {name: value for name, value in BUCKET.items() if name != "start"}
REPORTS: dict[str, tuple[str, Callable[[Client], Any], dict[str, Any], str]] = {
    "top users": (
        "/reports/top-users", lambda client: client.top_users(limit=5, window="24h"),
        {"users": [{"user_id": "u", "events": 3}], "events_total": 3, "users_total": 1}, "limit=5&window=24h",
    ),
    "latency": (
        "/reports/latency", lambda client: client.latency(by="event_name,conversation_id", has_error=False),
        {"latency": [LATENCY]}, "by=event_name%2Cconversation_id&limit=100&has_error=false",
    ),
    "errors": (
        "/reports/errors", lambda client: client.errors(start=START, end=START + timedelta(hours=1)),
        {"errors": [{"event_name": "e", "events": 2, "errors": 1, "error_rate": 0.5}], "events_total": 2,
         "errors_total": 1},
        "by=event_name&limit=100&start=2026-01-02T03%3A04%3A05.678Z&end=2026-01-02T04%3A04%3A05.678Z",
    ),
    "top conversations": (
        "/reports/top-conversations", lambda client: client.top_conversations(by="latency", min_events=3),
        {"conversations": [CONVERSATION]}, "by=latency&min_events=3&limit=100",
    ),
    "volume": (
        "/reports/volume", lambda client: client.volume(interval="hour", window=timedelta(days=7), user_id="ü&"),
        {"interval": "hour", "series": [BUCKET], "totals": TOTALS}, "interval=hour&window=10080m&user_id=%C3%BC%26",
    ),
    "pipeline": (
        "/reports/pipeline", lambda client: client.pipeline(),
        {"newest_loaded_at": AT, "freshness_ms": 5.0, "load_lag_records": 7, "archive_lag_records": 0,
         "lag_measured_at": AT, "load_stalled_since": None, "dead_letters_24h": 0, "pending_changes": 0,
         "spooled_objects": 0}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_comes_back_as_its_type(server: ContractServer, make_client: MakeClient, name: str) -> None:
    path, ask, rows, query = REPORTS[name]
    frame = {} if name == "pipeline" else FRAME
    server.answers[path] = {**rows, **frame, "something_new": 1}

    report = ask(make_client())

    assert write_json(report).items() >= {**rows, **frame}.items() or _filled(report, {**rows, **frame})
    (request,) = server.received
    asked = "&".join(f"{name}={value}" for name, values in request.query.items() for value in values)
    assert asked == _decoded(query)


def _filled(report: Any, expected: dict[str, Any]) -> bool:
    """Whether everything the API said is there; what it left out is None."""
    shown = json.loads(json.dumps(write_json(report)))
    return all(_covers(shown[name], value) for name, value in expected.items())


def _covers(shown: Any, value: Any) -> bool:
    if isinstance(value, list):
        return all(_covers(one, other) for one, other in zip(shown, value, strict=True))
    return shown.items() >= value.items() if isinstance(value, dict) else shown == value


def _decoded(query: str) -> str:
    from urllib.parse import unquote

    return unquote(query)


def test_times_are_aware_and_rows_are_frozen(server: ContractServer, make_client: MakeClient) -> None:
    server.answers["/reports/top-users"] = {**REPORTS["top users"][2], **FRAME}

    report = make_client().top_users()

    assert report.start == START
    assert report.users == (UserCount("u", 3),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.users[0].events = 4  # type: ignore[misc]


def pages(query: dict[str, list[str]]) -> dict[str, Any]:
    """Three pages of two, two and no events."""
    page = int(query.get("cursor", ["0"])[0])
    rows = [{**ROW, "id": f"{page}-{number}"} for number in range(2)] if page < 2 else []
    return {"events": rows, "next_cursor": str(page + 1) if page < 2 else None}


def test_events_are_iterated_over_page_by_page(server: ContractServer, make_client: MakeClient) -> None:
    server.answers["/conversations/a%2Fb/events"] = server.answers["/events"] = pages
    client = make_client()

    rows = client.events(order="asc", include=["input", "output"], page_size=2, event_name="e")
    assert [event.id for event in rows] == ["0-0", "0-1", "1-0", "1-1"]
    assert [len(page) for page in rows.pages()] == [2, 2, 0], "and again from the start"
    assert server.received[1].query == {
        "order": ["asc"], "include": ["input,output"], "limit": ["2"], "event_name": ["e"], "cursor": ["1"],
    }  # fmt: skip
    first = next(iter(client.conversation("a/b")))
    assert first == Event(id="0-0", event_name="e", timestamp=START, user_id="u", latency_ms=2.5, properties={"a": 1})
    assert len(server.received) == 7, "pages that nobody reads are not asked for"


def test_properties_are_compared_as_asked(server: ContractServer, make_client: MakeClient) -> None:
    server.answers["/reports/top-users"] = {**REPORTS["top users"][2], **FRAME}

    make_client().top_users(
        properties={"model": "gt:1", "usage.tokens": [("gte", 5), ("lt", 10.5)], "cached": True, "x": ("exists", False)}
    )

    assert {name: values for name, values in server.received[0].query.items() if name != "limit"} == {
        "properties.model": ["eq:gt:1"],
        "properties.usage.tokens": ["gte:5", "lt:10.5"],
        "properties.cached": ["eq:true"],
        "properties.x": ["exists:false"],
    }


def test_a_misspelt_filter_is_refused_here(make_client: MakeClient) -> None:
    with pytest.raises(TypeError, match="no filter here is called 'evnt_name'"):
        make_client().top_users(evnt_name="e")  # type: ignore[call-arg]


def test_similar_events_are_asked_for_by_embedding_or_by_event(server: ContractServer, make_client: MakeClient) -> None:
    server.answers["/events/similar"] = {"events": [{"similarity": 0.5, **ROW}], "exact": True, "generated_at": AT}
    client = make_client()

    found = client.similar([0.5, 1.0], limit=3, has_error=True, window="7d")
    client.similar(event_id="i", of="output")

    assert (found.events[0].similarity, found.events[0].id, type(found.events[0])) == (0.5, "i", SimilarEvent)
    assert [json.loads(request.body) for request in server.received] == [
        {"embedding": "AAAAPwAAgD8=", "of": "input", "limit": 3, "has_error": True, "window": "7d"},
        {"id": "i", "of": "output", "limit": 10},
    ]
    with pytest.raises(TypeError):
        client.similar()
    with pytest.raises(TypeError, match="properties"):
        client.similar([1.0], properties={"a": 1})  # type: ignore[call-arg]


def test_one_event_comes_back_and_one_that_is_not_there_yet_may_later(
    server: ContractServer, make_client: MakeClient
) -> None:
    client = make_client()
    identifier = client.track_event("e", user_id="u", input="?")

    with pytest.raises(NotFound) as missing:
        client.event("01890000-0000-7000-8000-000000000000", wait_seconds=1.5)
    assert (missing.value.retriable, missing.value.status) == (True, 404)
    assert server.received[-1].query == {"wait_ms": ["1500"]}
    client.flush()
    assert client.event(identifier).input == "?"


def test_health_needs_no_right(server: ContractServer, make_client: MakeClient) -> None:
    health = make_client(key="wrong").health()

    assert (health.status, health.kafka_durability, health.request_encodings) == ("ok", "memory", [])


def test_refusals_are_raised_by_their_class(server: ContractServer, make_client: MakeClient) -> None:
    with pytest.raises(KeyRefused):
        make_client(key="wrong").top_users()
    with pytest.raises(RequestRefused):
        make_client().volume()
    assert len(server.received) == 2, "neither is asked again"


@pytest.mark.parametrize("answer", [[1], {"users": 5}, {"users": [{}], **FRAME}, {**FRAME, "start": "soon"}])
def test_an_answer_that_is_not_our_apis_is_said_so(
    server: ContractServer, make_client: MakeClient, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/reports/top-users"] = answer
    monkeypatch.setattr("tallystream.asking.ATTEMPTS_MAX", 1)

    with pytest.raises(Unavailable) as unreadable:
        make_client().top_users()

    assert unreadable.value.reason == "answer_unreadable"


def test_the_asyncio_client_writes_and_reads_without_blocking_the_loop(server: ContractServer) -> None:
    server.answers["/events"] = pages

    async def use() -> None:
        server.faults.append(Fault(seconds=0.1))
        async with AsyncClient(server.url, KEY, spool=False) as client:
            identifier = client.track_event("e", user_id="u", input="?")
            client.update_event(identifier, error="x")
            flushing = asyncio.create_task(client.flush())
            ticks = 0
            while not flushing.done():
                ticks += 1
                await asyncio.sleep(0.001)
            assert await flushing
            assert ticks > 1
            assert (await client.event(identifier)).input == "?"
            assert (await client.top_users()).users == (UserCount("u", 1),)
            assert [event.id async for event in client.events()] == ["0-0", "0-1", "1-0", "1-1"]
            assert [len(page) async for page in client.conversation("c").pages()] == [0]
            async with client.timed("timed", user_id="u"):
                await asyncio.sleep(0)
            assert client.stats().tracked == 3

    server.answers["/conversations/c/events"] = {"events": [], "next_cursor": None}
    asyncio.run(use())
    assert [event["event_name"] for event in server.events.values()] == ["e", "timed"]


def test_both_clients_have_the_same_surface() -> None:
    import inspect

    def surface(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, callable)
            if not name.startswith("_") and name != "batch"
        }

    assert surface(Client) == surface(AsyncClient)
