"""Updates, deletes and mixed batches -> records, or the reason why not."""

import json
import os
from typing import Any

import pytest

from event_analytics.change import CLEARING_PATCH, decode_stored_change, is_change
from event_analytics.event import decode_stored_event
from event_analytics.ingest import Item, draw_at_once, plan_items
from event_analytics.operations import plan_delete, plan_operations, plan_update
from tests.builders import ACCEPTED_US, UUID4, UUID7, an_acceptance, an_event, raw


def update(fields: Any) -> Item:
    return plan_update(UUID4, json.dumps(fields).encode(), an_acceptance())


def test_an_update_names_what_it_sets_and_what_it_clears() -> None:
    record = update({"error": "timeout", "latency": 12, "output": None, "input": {"a": 1}}).record

    assert record is not None
    assert (record.topic, record.key) == ("event-changes", UUID4.encode())
    change = json.loads(record.value)
    assert change["fields"] == ["error", "input", "latency_ms", "output"]
    assert (change["error"], change["latency_ms"], change["input"]) == ("timeout", 12.0, '{"a": 1}')
    assert "output" not in change
    assert (change["id"], change["version"]) == (UUID4, ACCEPTED_US)


def test_properties_are_a_merge_patch_and_null_empties_them() -> None:
    patched, emptied = (update({"properties": value}).record for value in ({"a": None, "b": {"c": 1.0}}, None))

    assert patched is not None
    assert emptied is not None
    assert b'"patch":{"a": null, "b": {"c": 1.0}}' in patched.value
    assert b'"patch":' + bytes(CLEARING_PATCH) in emptied.value


def test_embeddings_travel_as_base64() -> None:
    record = update({"output_embeddings": [0.5]}).record

    assert record is not None
    assert json.loads(record.value)["output_embeddings_base64"] == "AAAAPw=="


def test_creates_of_one_request_keep_their_order_as_changes_do() -> None:
    same = [json.dumps(an_event(id=UUID7, user_id=user)).encode() for user in ("first", "second")]
    mixed = [b'{"op":"create",' + same[0][1:], b'{"op":"update","id":"%b","error":"x"}' % UUID7.encode(),
             b'{"op":"create",' + same[1][1:]]  # fmt: skip
    for items in (plan_items(same, an_acceptance()), plan_operations(mixed, an_acceptance())):
        records = [item.record for item in items if item.record is not None and item.record.topic == "events"]
        accepted = [decode_stored_event(record.value) for record in records]

        assert [(event.user_id, event.accepted_us - ACCEPTED_US) for event in accepted] == [
            ("first", 0),
            ("second", len(items) - 1),
        ]


def test_the_time_in_kafka_is_that_of_acceptance_so_that_no_check_misses_a_create_at_an_hours_end() -> None:
    last_us = ACCEPTED_US // 1_000 * 1_000 + 999

    records = [item.record for item in plan_items([raw(), raw()], an_acceptance(accepted_us=last_us))]

    assert [record.timestamp_ms - last_us // 1_000 for record in records if record] == [0, 1]


def test_a_delete_holds_nothing_but_itself() -> None:
    record = plan_delete(UUID7, an_acceptance()).record

    assert record is not None
    change = decode_stored_change(record.value)
    assert (is_change(record.value), change.is_deleted, change.fields) == (True, 1, [])


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"user_id": "x"}, "immutable_field", "user_id"),
        ({"ts": 5}, "immutable_field", "timestamp"),
        ({"id": UUID7}, "immutable_field", "id"),
        ({"session_id": "x"}, "immutable_field", "conversation_id"),
        ({}, "no_fields", None),
        ({"colour": 1}, "unknown_field", "colour"),
        ({"event_name": None}, "field_missing", "event_name"),
        ({"event_name": ""}, "text_empty", "event_name"),
        ({"latency_ms": -1}, "number_negative", "latency_ms"),
        ({"properties": [1]}, "wrong_type", "properties"),
        ({"output": "a\0"}, "text_invalid", "output"),
        ({"error": float("nan")}, "number_not_finite", "error"),
        ([1], "event_not_object", None),
        ({"output": "x" * 900_001}, "event_too_large", None),
    ],
)
def test_refuses_an_update_by_name(fields: Any, reason: str, field: str | None) -> None:
    refused = update(fields).refused

    assert refused is not None
    assert (str(refused.reason), refused.field) == (reason, field)


def test_an_id_that_is_no_uuid_is_refused() -> None:
    refused = plan_delete("12", an_acceptance()).refused

    assert refused is not None
    assert str(refused.reason) == "id_invalid"


def test_operations_of_a_batch_keep_their_order_by_version() -> None:
    operations = [{"op": "update", "id": UUID4, "error": str(number)} for number in range(3)]

    items = plan_operations([json.dumps(one).encode() for one in operations], an_acceptance())

    versions = [json.loads(item.record.value)["version"] for item in items if item.record]
    assert versions == [ACCEPTED_US, ACCEPTED_US + 1, ACCEPTED_US + 2]


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [
        ({"op": "create", **an_event()}, "events"),
        ({"op": "update", "event_id": UUID4, "error": None}, "event-changes"),
        ({"op": "delete", "id": UUID4}, "event-changes"),
        ({"op": "upsert", "id": UUID4}, "operation_invalid"),
        ({"id": UUID4}, "operation_invalid"),
        ({"op": "delete"}, "operation_invalid"),
        ({"op": "delete", "id": UUID4, "event_id": UUID4}, "operation_invalid"),
        ({"op": "delete", "id": UUID4, "error": "x"}, "unknown_field"),
        ({"op": "delete", "id": 7}, "wrong_type"),
        ({"op": "create", "user_id": "u"}, "field_missing"),
        ({"op": "update", "id": UUID4, "user_id": "u"}, "immutable_field"),
        ([], "event_not_object"),
    ],
)
def test_each_operation_is_its_own_item(operation: Any, outcome: str) -> None:
    (item,) = plan_operations([json.dumps(operation).encode()], an_acceptance())

    assert outcome == (item.record.topic if item.record else str(item.refused.reason if item.refused else ""))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"op":NaN}', "operation_invalid"),
        (b'{"op":"\\ud800"}', "operation_invalid"),
        (b'{"op":"create","user_id":"u","event_name":"e","\xff":1}', "unknown_field"),
        (b'{"op":"create","user_id":"u","event_name":"e","latency_ms":%b}' % (b"9" * 400), "number_not_finite"),
        (b'{"op":"update","id":"%b","latency_ms":%b}' % (UUID4.encode(), b"9" * 400), "number_not_finite"),
    ],
)
def test_a_broken_operation_leaves_its_neighbours_alone(broken: bytes, reason: str) -> None:
    neighbour = b'{"op":"delete","id":"%b"}' % UUID4.encode()

    first, second, third = plan_operations([neighbour, broken, neighbour], an_acceptance())

    assert first.record
    assert third.record
    assert second.refused
    assert str(second.refused.reason) == reason


def test_random_bytes_of_a_request_are_drawn_once_and_used_once() -> None:
    drawn: list[int] = []

    def random_bytes(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    create = json.dumps({"op": "create", **an_event(id=None)}).encode()
    update = b'{"op":"update","id":"%b","error":"x"}' % UUID4.encode()
    items = plan_operations([create, update] * 50, an_acceptance(random_bytes=random_bytes))

    events, changes = items[::2], [json.loads(item.record.value) for item in items[1::2] if item.record]
    assert len({*(item.id for item in events), *(change["change_id"] for change in changes)}) == 100
    assert drawn == [1_000]


def test_random_bytes_beyond_those_drawn_at_once_are_drawn_again() -> None:
    drawing = draw_at_once(an_acceptance(), 1).random_bytes

    assert [len(drawing(10)) for _ in range(3)] == [10, 10, 10]
