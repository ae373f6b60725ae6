"""Where a record goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC, murmur2, partition_of, route_event
from event_analytics.validate import accept_event
from tests.builders import ACCEPTED_MS, ACCEPTED_US, an_acceptance, raw


# Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2, as unsigned integers.
@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hash_equals_that_of_the_java_client(text: bytes, hashed: int) -> None:
    assert murmur2(text) == hashed & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 64))
def test_partition_equals_that_of_kafka_python(key: bytes, partitions: int) -> None:
    from kafka.partitioner import default

    assert partition_of(EVENTS_TOPIC, key, partitions) == (default.murmur2(key) & 0x7FFFFFFF) % partitions


# The check value of CRC-32, which librdkafka's `consistent` partitioner takes the remainder of.
def test_partition_of_a_change_is_that_of_the_check_value() -> None:
    assert partition_of(EVENT_CHANGES_TOPIC, b"123456789", 1_000) == 0xCBF43926 % 1_000


@pytest.mark.parametrize(
    ("fields", "key"), [({}, b"u1"), ({"user_id": None}, b"c1"), ({"conversation_id": None}, b"u1")]
)
def test_key_is_the_user_else_the_conversation(fields: dict[str, object], key: bytes) -> None:
    record = route_event(accept_event(raw(**fields), 0, an_acceptance()), ACCEPTED_US)

    assert (record.topic, record.key, record.timestamp_ms) == ("events", key, ACCEPTED_MS)
