"""Kafka's batches, as a real client's builder writes them, against the plain form of Lambda's event."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, NamedTuple

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecordsBuilder

from local_runtime.kafka_trigger.consumer import unpack
from local_runtime.kafka_trigger.event_shape import EventShape
from local_runtime.kafka_trigger.record_batch import BadBatch, Encoded, encode_batch, split_batches

SHAPE = EventShape.of("t", "b:9092", "aws:kafka", "arn")
FIRST_TIMESTAMP = 1545084650987


class Record(NamedTuple):
    delay_ms: int = 0
    key: bytes | None = b"user-1"
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def build(records: list[Record], codec: int = 0, base_offset: int = 0) -> bytes:
    builder = MemoryRecordsBuilder(2, codec, 1 << 30)
    for record in records:
        builder.append(FIRST_TIMESTAMP + record.delay_ms, record.key, record.value, list(record.headers))
    builder.close()
    # The broker writes the base offset, which no checksum covers.
    return base_offset.to_bytes(8, "big") + bytes(builder.buffer())[8:]


def read(log: bytes, fetch_offset: int = 0, keeps: Any = None) -> Encoded:
    encoded = Encoded()
    for batch in split_batches(log, fetch_offset, crc32c):
        encode_batch(batch, unpack(batch), SHAPE.partition(3), encoded, keeps)
    return encoded


def signed(byte: int) -> int:
    return int.from_bytes(bytes([byte]), "big", signed=True)


def plain(offset: int, record: Record) -> dict[str, Any]:
    """The straightforward form that the fast encoder must equal."""
    return {
        "topic": "t",
        "partition": 3,
        "offset": offset,
        "timestamp": FIRST_TIMESTAMP + record.delay_ms,
        "timestampType": "CREATE_TIME",
        "key": None if record.key is None else b64encode(record.key).decode(),
        "value": None if record.value is None else b64encode(record.value).decode(),
        "headers": [
            {name: None if value is None else [signed(byte) for byte in value]} for name, value in record.headers
        ],
    }


# Sizes at which a variable-length integer gets another byte: 63/64 and 8191/8192.
sizes = st.sampled_from([0, 1, 62, 63, 64, 65, 8191, 8192, 20_000])
maybe_bytes = st.none() | st.binary(max_size=80) | sizes.map(lambda size: b"x" * size)
names = st.text(st.characters(codec="utf-8"), max_size=12)
headers = st.lists(st.tuples(names, st.none() | st.binary(max_size=80)), max_size=3).map(tuple)
delays = st.integers(-200_000, 200_000) | st.sampled_from([0, 63, 64, 8191, 8192, -64, -65])
records = st.builds(Record, delays, maybe_bytes, maybe_bytes, st.just(()) | headers)


@settings(max_examples=150, deadline=None)
@given(st.lists(records, min_size=1, max_size=12), st.sampled_from([0, 1, 3]), st.integers(0, 2**40))
def test_encoded_records_equal_the_plain_ones_whatever_they_hold(
    wanted: list[Record], codec: int, base_offset: int
) -> None:
    encoded = read(build(wanted, codec, base_offset), base_offset)

    assert [json.loads(record) for record in encoded.records] == [
        plain(base_offset + index, record) for index, record in enumerate(wanted)
    ]
    assert encoded.offsets == list(range(base_offset, base_offset + len(wanted)))
    assert encoded.timestamps == [FIRST_TIMESTAMP + record.delay_ms for record in wanted]


def test_many_records_in_one_batch_keep_their_offsets() -> None:
    wanted = [Record(index // 3, b"k%d" % index, b"v" * (index % 200)) for index in range(20_000)]
    encoded = read(build(wanted, codec=3))

    assert json.loads(encoded.records[-1]) == plain(19_999, wanted[-1])
    assert encoded.offsets == list(range(20_000))


def test_header_bytes_are_signed_as_java_writes_them() -> None:
    encoded = read(build([Record(headers=(("name", b"a\x7f\x80\xff"),))]))

    assert json.loads(encoded.records[0])["headers"] == [{"name": [97, 127, -128, -1]}]


def test_reading_may_start_within_a_batch() -> None:
    encoded = read(build([Record(value=b"%d" % index) for index in range(10)]), fetch_offset=7)

    assert encoded.offsets == [7, 8, 9]


def test_filtered_records_are_counted_and_left_out() -> None:
    log = build([Record(value=b"%d" % index) for index in range(10)])
    encoded = read(log, keeps=lambda value: value in (b"2", b"5"))

    assert (encoded.offsets, encoded.filtered) == ([2, 5], 8)


def test_batch_that_was_cut_off_is_left_for_the_next_fetch() -> None:
    whole, second = build([Record()] * 3), build([Record()] * 2, base_offset=3)

    assert len(split_batches(whole + second, 0, crc32c)) == 2
    for cut in (1, 30, 61, len(second) - 1):
        assert len(split_batches(whole + second[:cut], 0, crc32c)) == 1


def test_broker_time_stands_for_every_record_where_the_topic_says_so() -> None:
    log = bytearray(build([Record(0), Record(5)]))
    log[22] |= 0x08  # the attribute for "log append time"
    log[17:21] = crc32c(bytes(log[21:])).to_bytes(4, "big")
    encoded = read(bytes(log))

    assert encoded.timestamps == [FIRST_TIMESTAMP + 5] * 2
    assert {json.loads(record)["timestampType"] for record in encoded.records} == {"LOG_APPEND_TIME"}


def test_transaction_marker_holds_no_record() -> None:
    log = bytearray(build([Record()]))
    log[22] |= 0x20  # the attribute for "control batch"
    log[17:21] = crc32c(bytes(log[21:])).to_bytes(4, "big")
    (batch,) = split_batches(bytes(log), 0, crc32c)

    assert (batch.records_count, batch.last_offset) == (0, 0)


@pytest.mark.parametrize(("place", "word"), [(16, "format"), (70, "checksum")])
def test_batch_that_is_not_intact_is_refused(place: int, word: str) -> None:
    log = bytearray(build([Record()] * 3))
    log[place] ^= 1

    with pytest.raises(BadBatch, match=word):
        split_batches(bytes(log), 0, crc32c)


def test_records_before_the_starting_time_are_left_out_until_the_first_that_is_not() -> None:
    encoded = read(build([Record(delay) for delay in (0, 10, 5, 20)]))
    encoded.skip_older(FIRST_TIMESTAMP + 6)

    assert encoded.offsets == [1, 2, 3]
