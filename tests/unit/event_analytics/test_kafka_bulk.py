"""Batches that are handed to kafka-python whole are those that it would have made, record by record."""

import kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecordsBuilder

from event_analytics.adapters.kafka_bulk import IS_KNOWN, KNOWN_VERSION, encode_batch
from event_analytics.routing import Record

UNLIMITED = 2**30
FIRST_MS = 1_789_603_200_000
NONE, LZ4 = 0, 3

times = st.integers(-(10**7), 10**7) | st.just(0)
values = st.binary(max_size=300) | st.integers(0, 20_000).map(lambda size: b"v" * size)
traces = st.none() | st.text(alphabet="0123456789abcdef-", min_size=1, max_size=60)
records = st.lists(
    st.builds(
        lambda key, value, delay, trace, accepted: Record("events", key, value, FIRST_MS + delay, trace, accepted),
        st.binary(max_size=130),
        values,
        times,
        traces,
        st.none() | st.integers(-1, FIRST_MS),
    ),
    min_size=1,
    max_size=80,
)


def as_kafka_python_makes_it(batch: list[Record], compression: int) -> bytes:
    builder = MemoryRecordsBuilder(2, compression, UNLIMITED)
    for each in batch:
        headers = [] if each.traceparent is None else [("traceparent", each.traceparent.encode())]
        headers += [] if each.accepted_ms is None else [("accepted_ms", str(each.accepted_ms).encode())]
        assert builder.append(each.timestamp_ms, each.key, each.value, headers) is not None
    builder.close()
    return bytes(builder.buffer())


@given(records, st.sampled_from([NONE, LZ4]))
def test_a_batch_equals_the_one_that_kafka_python_makes_to_the_byte(batch: list[Record], compression: int) -> None:
    builder = encode_batch(batch, compression, UNLIMITED)
    count = builder.next_offset()
    builder.close()

    assert bytes(builder.buffer()) == as_kafka_python_makes_it(batch, compression)
    assert count == len(batch)


def test_the_version_that_is_installed_is_the_one_that_is_known() -> None:
    assert IS_KNOWN, f"kafka-python is {kafka.__version__}: look at kafka_bulk, which knows {KNOWN_VERSION}"


@pytest.mark.parametrize("size", [63, 64, 8_191, 8_192, 900_000])
def test_lengths_at_the_borders_of_their_encoding_are_right(size: int) -> None:
    batch = [Record("events", b"k", b"v" * size, FIRST_MS)]
    builder = encode_batch(batch, NONE, UNLIMITED)
    builder.close()

    assert bytes(builder.buffer()) == as_kafka_python_makes_it(batch, NONE)
