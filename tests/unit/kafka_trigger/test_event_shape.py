from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from local_runtime.kafka_trigger.event_shape import EventShape, encode_record


class Record(NamedTuple):
    offset: int = 0
    timestamp: int = 1545084650987
    timestamp_type: int = 0
    key: bytes | None = None
    value: bytes | None = b"v"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def signed(byte: int) -> int:
    return int.from_bytes(bytes([byte]), "big", signed=True)


def plain_record(topic: str, partition: int, record: Record) -> dict[str, Any]:
    """The straightforward form that the fast encoder must equal."""
    return {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestampType": ("CREATE_TIME", "LOG_APPEND_TIME")[record.timestamp_type],
        "key": None if record.key is None else b64encode(record.key).decode(),
        "value": None if record.value is None else b64encode(record.value).decode(),
        "headers": [
            {name: None if value is None else [signed(byte) for byte in value]} for name, value in record.headers
        ],
    }


maybe_bytes = st.none() | st.binary(max_size=200)
names = st.text(st.characters(codec="utf-8"), max_size=12)
records = st.builds(
    Record,
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**63 - 1),
    st.sampled_from([0, 1]),
    maybe_bytes,
    maybe_bytes,
    st.lists(st.tuples(names, maybe_bytes), max_size=3).map(tuple),
)
partitions = st.dictionaries(st.integers(0, 500), st.lists(records, min_size=1, max_size=4), min_size=1, max_size=3)


@given(names, names, st.none() | names, partitions)
def test_joined_bytes_equal_the_plain_event(
    topic: str, servers: str, arn: str | None, wanted: dict[int, list[Record]]
) -> None:
    shape = EventShape.of(topic, servers, "aws:kafka", arn)
    parts = []
    for number, batch in wanted.items():
        part = shape.partition(number)
        parts.append((part, [encode_record(part, record) for record in batch]))
    payload = shape.join(parts)

    plain = {"eventSource": "aws:kafka", "eventSourceArn": arn, "bootstrapServers": servers}
    if arn is None:
        del plain["eventSourceArn"]
    lists = {f"{topic}-{number}": [plain_record(topic, number, one) for one in wanted[number]] for number in wanted}
    assert json.loads(payload) == {**plain, "records": lists}
    assert payload.isascii()


def test_header_bytes_are_signed_as_java_writes_them() -> None:
    part = EventShape.of("t", "b", "aws:kafka", "arn").partition(0)
    record = json.loads(encode_record(part, Record(headers=(("name", b"a\x7f\x80\xff"),))))

    assert record["headers"] == [{"name": [97, 127, -128, -1]}]


def test_frame_is_what_an_event_weighs_without_records() -> None:
    shape = EventShape.of("t", "b", "SelfManagedKafka")

    assert shape.join([]) == b'{"eventSource":"SelfManagedKafka","bootstrapServers":"b","records":{}}'
    assert shape.frame_bytes == len(shape.join([]))
