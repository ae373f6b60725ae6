"""Updates and deletes over HTTP: they converge, whatever the order and however often they come."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from tests.e2e.http_client import ApiClient, Response

JSON = {"Content-Type": "application/json"}
AT = "2004-02-03T04:05:06.789Z"


def put(client: ApiClient, identifier: str, fields: Any) -> Response:
    return client.call("PUT", f"/event/{identifier}", json.dumps(fields).encode(), JSON)


def delete(client: ApiClient, identifier: str) -> Response:
    return client.call("DELETE", f"/event/{identifier}")


def an_event(identifier: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "user_id": "changing", "conversation_id": f"c-{identifier}", "event_name": "e",
            "timestamp": AT, "error": "first", "properties": {"a": 1, "b": {"c": 2}}, **fields}  # fmt: skip


def wait_until(reader: ApiClient, identifier: str, is_met: Callable[[Response], bool]) -> Response:
    deadline = time.monotonic() + 30
    while not is_met(answer := reader.get(f"/event/{identifier}")):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


def fold_pending(stack: Any) -> None:
    client = aws_session(stack.connection.aws_endpoint).client("lambda")
    names = [one["FunctionName"] for one in client.list_functions()["Functions"]]
    name = next(name for name in names if "ReportFunction" in name)
    answer = client.invoke(FunctionName=name, Payload=b'{"jobs": ["fold_pending"]}')
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_an_update_sets_clears_and_merges_and_leaves_the_rest(writer: ApiClient, reader: ApiClient) -> None:
    identifier = str(uuid.uuid4())
    writer.post("/event", an_event(identifier, input="kept"))
    wait_until(reader, identifier, lambda answer: answer.status == 200)

    answer = put(
        writer, identifier, {"error": None, "latency_ms": 7, "properties": {"a": None, "b": {"d": 3}}, "output": "o"}
    )

    assert (answer.status, answer.body["items"]) == (202, [{"id": identifier, "status": "accepted"}])
    found = wait_until(reader, identifier, lambda answer: answer.body["latency_ms"] == 7).body
    assert (found["error"], found["input"], found["output"]) == (None, "kept", "o")
    assert found["properties"] == {"b": {"c": 2, "d": 3}}


def test_a_change_that_comes_before_its_event_is_folded_when_it_comes(
    stack: Any, writer: ApiClient, reader: ApiClient
) -> None:
    identifier = str(uuid.uuid4())
    put(writer, identifier, {"error": "second"})
    put(writer, identifier, {"latency_ms": 5})
    stack.wait_until_delivered()
    assert reader.get(f"/event/{identifier}").reason == "event_not_found"

    writer.post("/event", an_event(identifier))
    wait_until(reader, identifier, lambda answer: answer.status == 200)
    fold_pending(stack)

    found = reader.get(f"/event/{identifier}").body
    assert (found["error"], found["latency_ms"]) == ("second", 5)


def test_a_deleted_event_is_gone_for_ever(stack: Any, writer: ApiClient, reader: ApiClient) -> None:
    identifier = str(uuid.uuid4())
    writer.post("/event", an_event(identifier))
    wait_until(reader, identifier, lambda answer: answer.status == 200)

    assert delete(writer, identifier).status == 202
    assert wait_until(reader, identifier, lambda answer: answer.status == 410).reason == "event_deleted"
    writer.post("/event", an_event(identifier))
    put(writer, identifier, {"error": "back?"})
    stack.wait_until_delivered()
    fold_pending(stack)

    assert reader.get(f"/event/{identifier}").status == 410
    assert reader.get(f"/conversations/c-{identifier}/events").body["events"] == []


def test_a_retried_create_undoes_no_change(stack: Any, writer: ApiClient, reader: ApiClient) -> None:
    identifier = str(uuid.uuid4())
    writer.post("/event", an_event(identifier))
    wait_until(reader, identifier, lambda answer: answer.status == 200)
    put(writer, identifier, {"error": "second"})
    wait_until(reader, identifier, lambda answer: answer.body["error"] == "second")

    writer.post("/event", an_event(identifier))
    stack.wait_until_delivered()

    assert reader.get(f"/event/{identifier}").body["error"] == "second"


def test_a_batch_mixes_operations_and_each_has_its_own_result(stack: Any, writer: ApiClient, reader: ApiClient) -> None:
    first, second = (str(uuid.uuid4()) for _ in range(2))
    operations = [
        {"op": "create", **an_event(first)},
        {"op": "create", **an_event(second)},
        {"op": "update", "id": first, "error": "one"},
        {"op": "update", "id": first, "user_id": "another"},
        {"op": "update", "id": first, "error": "two"},
        {"op": "delete", "id": second},
        {"op": "upsert", "id": second},
    ]

    answer = writer.post("/batch", {"operations": operations})

    assert answer.status == 202
    assert [item.get("reason") for item in answer.body["items"]] == [
        None, None, None, "immutable_field", None, None, "operation_invalid",
    ]  # fmt: skip
    stack.wait_until_delivered()
    fold_pending(stack)
    assert reader.get(f"/event/{first}").body["error"] == "two"
    assert reader.get(f"/event/{second}").status == 410


@pytest.mark.parametrize(
    ("fields", "reason"), [({"user_id": "x"}, "immutable_field"), ({}, "no_fields"), ({"x": 1}, "unknown_field")]
)
def test_a_wrong_update_is_refused_by_name(writer: ApiClient, fields: Any, reason: str) -> None:
    answer = put(writer, str(uuid.uuid4()), fields)

    assert (answer.status, answer.reason) == (400, reason)
    assert put(writer, "12", {"error": "x"}).reason == "id_invalid"


def test_changes_need_a_key_that_may_write(reader: ApiClient, stranger: ApiClient) -> None:
    assert put(reader, str(uuid.uuid4()), {"error": "x"}).reason == "scope_missing"
    assert delete(stranger, str(uuid.uuid4())).status == 401
