"""The write API as its users meet it, over HTTP."""

import base64
import gzip
import json
import struct
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.version import VERSION
from tests.e2e.http_client import ApiClient, Response

JSON = {"Content-Type": "application/json"}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def an_event(**fields: Any) -> dict[str, Any]:
    return {"user_id": "u", "event_name": "e", **fields}


def wait_for_event(reader: ApiClient, identifier: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        answer = reader.get(f"/event/{identifier}")
        if answer.status == 200 or time.monotonic() > deadline:
            assert answer.status == 200, answer
            return dict(answer.body)
        assert answer.reason == "event_not_found"
        time.sleep(0.1)


def test_the_event_of_the_first_brief_is_taken_as_it_stands(writer: ApiClient, reader: ApiClient) -> None:
    sent = {
        "event_id": str(uuid.uuid4()),
        "user_id": "user-42",
        "type": "page_view",
        "ts": now(),
        "props": {"page": "/pricing", "plan": "pro"},
    }

    answer = writer.post("/event", sent)

    assert (answer.status, answer.body["items"]) == (202, [{"id": sent["event_id"], "status": "accepted"}])
    found = wait_for_event(reader, sent["event_id"])
    assert (found["user_id"], found["event_name"], found["timestamp"], found["properties"]) == (
        "user-42",
        "page_view",
        sent["ts"],
        sent["props"],
    )


def test_the_event_of_the_second_brief_is_taken_as_it_stands(writer: ApiClient, reader: ApiClient) -> None:
    vectors = [[0.5, -0.25, 3.0], [1.5, 2.0]]
    sent = {
        "id": str(uuid.uuid4()),
        "conversation_id": "conversation-7",
        "conversation_metadata": {"channel": "web", "tags": ["a", "b"]},
        "event_name": "question_answered",
        "error": "timeout",
        "latency": 812.5,
        "input": "What is Kafka?",
        "input_embeddings": vectors[0],
        "output": "A log.",
        "output_embeddings": base64.b64encode(struct.pack("<2f", *vectors[1])).decode(),
    }

    # Its id is random and it has no time of its own, so a retry would be another event: the API says so.
    refused = writer.post("/event", sent)
    assert (refused.status, refused.reason) == (400, "timestamp_required")

    assert writer.post("/event", {**sent, "timestamp": now()}).status == 202
    found = wait_for_event(reader, sent["id"])
    for name in ("conversation_id", "conversation_metadata", "event_name", "error", "input", "output"):
        assert found[name] == sent[name]
    assert found["latency_ms"] == 812.5
    assert [found["input_embeddings"], found["output_embeddings"]] == vectors


def test_an_event_without_id_gets_one_and_is_found_by_it(writer: ApiClient, reader: ApiClient) -> None:
    (item,) = writer.post("/event", an_event(output="héllo 👋")).body["items"]

    assert wait_for_event(reader, item["id"])["output"] == "héllo 👋"


def test_an_idempotency_key_makes_two_requests_one_event(writer: ApiClient, reader: ApiClient) -> None:
    body = {"events": [an_event(timestamp=now())]}
    headers = {"Idempotency-Key": uuid.uuid4().hex}

    first, second = (writer.post("/events", body, **headers).body["items"] for _ in range(2))

    assert first == second
    assert wait_for_event(reader, first[0]["id"])["user_id"] == "u"


def test_ndjson_and_5_000_events_are_taken(writer: ApiClient) -> None:
    lines = "\n".join(json.dumps(an_event(output=str(number))) for number in range(5_000))

    answer = writer.call("POST", "/events", lines.encode(), {"Content-Type": "application/x-ndjson"})

    assert (answer.status, answer.body["accepted"], len(answer.body["items"])) == (202, 5_000, 5_000)


BAD_BODIES: list[tuple[str, str, bytes, dict[str, str], int, str]] = [
    ("unreadable", "/events", b"{", JSON, 400, "body_unreadable"),
    ("unreadable event", "/event", b"{", JSON, 400, "json_invalid"),
    ("empty", "/event", b"", JSON, 400, "body_unreadable"),
    ("no events", "/events", b'{"events":[]}', JSON, 400, "no_events"),
    ("5,001 events", "/events", b'{"events":[' + b"{}," * 5_000 + b"{}]}", JSON, 413, "too_many_events"),
    ("4,000,001 bytes", "/events", b" " * 4_000_001, JSON, 413, "body_too_large"),
    ("still gzipped", "/events", gzip.compress(b'{"events":[]}'), {**JSON, "Content-Encoding": "gzip"}, 415,
     "unsupported_encoding"),
    ("a form", "/event", b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415,
     "unsupported_content_type"),
    ("NaN", "/event", b'{"user_id":"u","event_name":"e","latency_ms":NaN}', JSON, 400, "number_not_finite"),
    ("a bad id", "/event", b'{"id":"7","user_id":"u","event_name":"e"}', JSON, 400, "id_invalid"),
    ("a wrong type", "/event", b'{"user_id":7,"event_name":"e"}', JSON, 400, "wrong_type"),
    ("an unknown field", "/event", b'{"user_id":"u","event_name":"e","x":1}', JSON, 400, "unknown_field"),
    ("1970", "/event", b'{"user_id":"u","event_name":"e","timestamp":0}', JSON, 400, "timestamp_out_of_range"),
    ("a NUL", "/event", b'{"user_id":"u\\u0000","event_name":"e"}', JSON, 400, "text_invalid"),
    ("a lone surrogate", "/event", b'{"user_id":"u","event_name":"\\ud800"}', JSON, 400, "text_invalid"),
    ("half a float", "/event", b'{"user_id":"u","event_name":"e","input_embeddings":"AAA="}', JSON, 400,
     "embedding_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"), [case[1:] for case in BAD_BODIES], ids=[c[0] for c in BAD_BODIES]
)
def test_bad_input_is_refused_by_name(
    writer: ApiClient, path: str, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = writer.call("POST", path, body, headers)

    assert (answer.status, answer.reason) == (status, reason)


def test_bad_events_leave_their_neighbours_alone(writer: ApiClient) -> None:
    bad = [b'{"latency_ms":NaN}', b'"\\ud800"', b"7", b"null", b'{"id":"x"}', b'{"user_id":"\\u0000"}']
    good = json.dumps(an_event()).encode()
    body = b'{"events":[' + b",".join(event for pair in zip(bad, [good] * len(bad), strict=True) for event in pair)

    answer = writer.call("POST", "/events", body + b"]}", JSON)

    assert answer.status == 202
    assert [item["status"] for item in answer.body["items"]] == ["rejected", "accepted"] * len(bad)
    assert all(item["reason"] for item in answer.body["items"][::2])


Call = Callable[[ApiClient], Response]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.post("/event", an_event()),
        lambda client: client.post("/events", {"events": [an_event()]}),
        lambda client: client.get("/reports/top-users"),
        lambda client: client.get("/reports/latency"),
        lambda client: client.get("/conversations/c/events"),
        lambda client: client.get(f"/event/{uuid.uuid4()}"),
    ],
)
def test_every_route_needs_a_key_of_its_scope(stack: Any, stranger: ApiClient, call: Call) -> None:
    forged = ApiClient(stack.connection.api_url, stack.connection.write_key[:-1] + "x")

    assert call(stranger).status == 401
    assert call(forged).status == 403


def test_a_key_of_another_scope_is_told_so(writer: ApiClient, reader: ApiClient) -> None:
    assert reader.post("/event", an_event()).reason == "scope_missing"
    assert writer.get("/reports/top-users").reason == "scope_missing"


def test_the_admin_key_may_everything(stack: Any) -> None:
    admin = ApiClient(stack.connection.api_url, stack.connection.admin_key)

    assert admin.post("/event", an_event()).status == 202
    assert admin.get("/reports/top-users").status == 200


def test_health_needs_no_key_and_says_what_an_acknowledgement_survives(stranger: ApiClient) -> None:
    answer = stranger.get("/health")

    assert answer.status == 200
    assert answer.body == {
        "status": "ok",
        "clickhouse": "ok",
        "kafka_durability": "memory",
        "version": VERSION,
        "request_encodings": [],
    }


@pytest.mark.parametrize("query", [{"window": "0h"}, {"window": "1d'; DROP TABLE events"}, {"limit": 10**9}, {"x": 1}])
def test_a_wrong_question_is_refused_by_name(reader: ApiClient, query: dict[str, object]) -> None:
    answer = reader.get("/reports/top-users", **query)

    assert answer.status == 400
    assert answer.reason in {"window_invalid", "limit_invalid", "parameter_unknown"}


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/events"), ("PATCH", "/event"), ("GET", "/nothing")])
def test_a_route_that_is_not_there_says_so(writer: ApiClient, method: str, path: str) -> None:
    answer = writer.call(method, path)

    assert (answer.status, answer.reason) == (404, "route_not_found")
