"""A Kafka batch -> rows, token and dead records."""

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.dead_letters import dead_letter_of
from event_analytics.kafka_batch import read_records
from event_analytics.load import plan_load
from tests.builders import ACCEPTED_US, a_lambda_batch, a_record


def test_rows_are_the_record_values_in_order() -> None:
    records = [a_record(1), a_record(0), a_record(0, partition=1)]

    plan = plan_load(records, "e1")

    assert plan.event_rows.split(b"\n") == [records[1].value, records[0].value, records[2].value]
    assert (plan.events, plan.dead, plan.newest_accepted_us) == (3, [], ACCEPTED_US)


def test_reads_what_lambda_sends() -> None:
    records = [a_record(0), a_record(1, key=None), a_record(7, partition=3, value=None)]

    assert read_records(a_lambda_batch(records)) == records


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"{}", b'{"id":"x"}', b'{"a":1}\n{"b":2}'])
def test_a_record_that_no_retry_can_load_is_set_aside_alone(value: bytes | None) -> None:
    plan = plan_load([a_record(0), a_record(1, value=value), a_record(2)], "e1")

    assert plan.events == 2
    assert [dead.record.offset for dead in plan.dead] == [1]


def test_a_dead_letter_keeps_origin_reason_and_bytes() -> None:
    (dead,) = plan_load([a_record(5, value=b"\xff{", key=b"\xfe")], "e1").dead
    letter = dead_letter_of(dead, "e1")
    kept = json.loads(letter.body)

    assert letter.name.startswith("dead-letters/v1/topic=events/partition=000/epoch=e1/5-")
    assert (kept["reason"], kept["topic"], kept["partition"], kept["offset"]) == ("record_undecodable", "events", 0, 5)
    assert base64.b64decode(kept["value_base64"]) == b"\xff{"
    assert base64.b64decode(kept["key_base64"]) == b"\xfe"


def test_embeddings_go_to_their_own_table() -> None:
    vector = base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode()
    with_vector = json.loads(a_record(1).value or b"") | {"input_embeddings": vector}

    plan = plan_load([a_record(0), a_record(1, value=json.dumps(with_vector).encode())], "e1")

    assert plan.events == 2
    (row,) = [json.loads(line) for line in plan.embedding_rows.splitlines()]
    assert row["input_embeddings_base64"] == vector
    assert "output_embeddings_base64" not in row


def test_the_same_records_have_the_same_token_in_any_order_of_partitions() -> None:
    records = [a_record(0), a_record(1), a_record(0, partition=1)]

    assert plan_load(records, "e1").token == plan_load(records[::-1], "e1").token


@given(st.sampled_from(["epoch", "offsets", "values", "partition"]))
def test_other_records_have_another_token(change: str) -> None:
    records = {
        "epoch": ("e2", [a_record(0)]),
        "offsets": ("e1", [a_record(1, value=a_record(0).value)]),
        "values": ("e1", [a_record(0, value=a_record(1).value)]),
        "partition": ("e1", [a_record(0, partition=1)]),
    }
    epoch, changed = records[change]

    assert plan_load(changed, epoch).token != plan_load([a_record(0)], "e1").token
