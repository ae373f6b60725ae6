"""A Kafka batch -> rows, token and dead records."""

import base64
import json
import struct
from uuid import UUID

import pytest

from event_analytics.change import accept_delete, encode_change
from event_analytics.kafka_batch import read_records
from event_analytics.load import changed_ids, plan_load
from tests.builders import ACCEPTED_US, a_lambda_batch, a_record


def test_rows_are_the_record_values_in_order() -> None:
    records = [a_record(1), a_record(0), a_record(0, partition=1)]

    plan = plan_load(records)

    assert [row.line for row in plan.event_rows] == [records[1].value, records[0].value, records[2].value]
    assert (plan.dead, plan.newest_accepted_us) == ([], ACCEPTED_US)


def test_reads_what_lambda_sends() -> None:
    records = [a_record(0), a_record(1, key=None), a_record(7, partition=3, value=None)]

    assert read_records(a_lambda_batch(records)) == records


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"{}", b'{"id":"x"}', b'{"a":1}\n{"b":2}'])
def test_a_record_that_no_retry_can_load_is_set_aside_alone(value: bytes | None) -> None:
    plan = plan_load([a_record(0), a_record(1, value=value), a_record(2)])

    assert len(plan.event_rows) == 2
    assert [dead.record.offset for dead in plan.dead] == [1]


# What the decoder's types let through and neither a row nor an hour can hold: the borders of ClickHouse's DateTime.
@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "1900-01-01T00:00:00Z"},
        {"timestamp": "1969-12-31T23:59:59.999Z"},
        {"timestamp": "0001-01-01T00:00:00"},
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": "2106-02-07T06:00:00Z"},
        {"timestamp": "9999-12-31T23:59:59-14:00"},
        {"accepted_us": -1},
        {"accepted_us": 2**51},
        {"accepted_us": 10**30},
    ],
)
def test_an_event_of_a_time_that_no_row_can_hold_is_set_aside_alone(fields: dict[str, object]) -> None:
    value = json.dumps({**json.loads(a_record(1).value or b""), **fields}).encode()

    plan = plan_load([a_record(0), a_record(1, value=value), a_record(2)])

    assert [row.record.offset for row in plan.event_rows] == [0, 2]
    assert [(dead.record.offset, dead.reason) for dead in plan.dead] == [(1, "record_undecodable")]


@pytest.mark.parametrize(
    "timestamp",
    ["1970-01-01T00:00:00Z", "2106-02-07T05:59:59.999Z", "1970-01-01T00:00:00", "1970-01-01T01:00:00+01:00"],
)
def test_the_first_and_the_last_time_that_a_row_can_hold_are_loaded(timestamp: str) -> None:
    value = json.dumps({**json.loads(a_record(1).value or b""), "timestamp": timestamp}).encode()

    assert len(plan_load([a_record(1, value=value)]).event_rows) == 1


@pytest.mark.parametrize("version", [-1, 2**51, 10**30])
def test_a_change_of_a_time_that_no_row_can_hold_is_set_aside(version: int) -> None:
    change = encode_change(accept_delete(UUID(int=5), UUID(int=7), ACCEPTED_US))
    value = change.replace(b"%d" % ACCEPTED_US, b"%d" % version)

    assert [dead.reason for dead in plan_load([a_record(0, value=value)]).dead] == ["record_undecodable"]


def test_embeddings_go_to_their_own_table() -> None:
    vector = base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode()
    with_vector = json.loads(a_record(1).value or b"") | {"input_embeddings": vector}

    plan = plan_load([a_record(0), a_record(1, value=json.dumps(with_vector).encode())])

    assert len(plan.event_rows) == 2
    (row,) = [json.loads(row.line) for row in plan.embedding_rows]
    assert row["input_embeddings_base64"] == vector
    assert "output_embeddings_base64" not in row


def test_a_record_nested_thousands_deep_is_set_aside_and_not_tried_for_ever() -> None:
    deep = b'{"accepted_us":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert [dead.reason for dead in plan_load([a_record(0, value=deep)]).dead] == ["record_undecodable"]


def test_changes_are_told_from_events_by_their_first_field() -> None:
    change = encode_change(accept_delete(UUID(int=5), UUID(int=7), ACCEPTED_US))

    plan = plan_load([a_record(0), a_record(1, value=change), a_record(2, value=change)])

    assert (len(plan.event_rows), len(plan.change_rows)) == (1, 2)
    assert changed_ids(plan.change_rows) == [UUID(int=5)]
