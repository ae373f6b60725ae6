"""Appends records as whole batches to kafka-python's accumulator: a quarter of what its `send` costs for each.

It uses what kafka-python keeps to itself, so it stands for one version: the one that is pinned. A property test holds
its batches to those that kafka-python makes, and a contract test runs it against a broker. With any other version,
`KafkaEventLog` sends record by record.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import kafka
from kafka import KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from event_analytics.record_times import ACCEPTED_MS
from event_analytics.routing import Record

KNOWN_VERSION: Final = "3.0.12"
IS_KNOWN: Final = kafka.__version__ == KNOWN_VERSION
_MESSAGE_FORMAT: Final = 2  # since Kafka 0.11
_NO_HEADERS: Final = b"\0"
_ATTRIBUTES: Final = b"\0"
_OVERHEAD_BYTES_MAX: Final = 100  # the batch's own 61 bytes, and lengths, time and offset around a record's fields
_HEADER_OVERHEAD_BYTES_MAX: Final = 4  # lengths of the name and the value, below 8 kB each
_LOW_BITS: Final = 0x7F
_MORE_FOLLOWS: Final = 0x80
TRACEPARENT: Final = "traceparent"


class Sent(NamedTuple):
    """Records on their way, and how to wait for the answer: seconds -> whether the broker has them durably."""

    indexes: Sequence[int]
    is_acknowledged: Callable[[float], bool]


def append_batches(
    producer: KafkaProducer, place: TopicPartition, indexes: Sequence[int], records: Sequence[Record]
) -> list[Sent]:
    """Hand those records over, in their order, all of one partition; `wake` sends them.

    Raises:
        kafka.errors.KafkaError, ValueError: none was handed over.
    """
    known = producer._metadata.partitions_for_topic(place.topic)
    if known is not None and place.partition not in known:
        raise ValueError(f"{place.topic} has no partition {place.partition} any more")
    accumulator = producer._accumulator
    pieces = list(_cut(indexes, records, accumulator.config["batch_size"], producer.config["max_request_size"]))
    return [
        Sent(piece, partial(_is_acknowledged, _append(accumulator, place, [records[index] for index in piece])))
        for piece in pieces
    ]


def _append(accumulator: Any, place: TopicPartition, records: Sequence[Record]) -> Any:
    config = accumulator.config
    batch = ProducerBatch(place, encode_batch(records, config["compression_attrs"], config["batch_size"]))
    accumulator._appends_in_progress.increment()
    try:
        with accumulator._tp_lock(place):
            accumulator._batches[place].append(batch)
            accumulator._incomplete.add(batch)
    finally:
        accumulator._appends_in_progress.decrement()
    return batch.produce_future


def wake(producer: KafkaProducer) -> None:
    """Let the producer's thread send what was appended."""
    producer._sender.wakeup()


def has_offset(offset: int) -> bool:
    """Whether an answer that says "done" says where.

    Without an offset the broker only believes to have it: kafka-python takes "duplicate sequence number" for success,
    and a broker that died between noting the sequence and storing the batch says just that.
    """
    return offset >= 0


def _is_acknowledged(answer: Any, seconds: float) -> bool:
    if not answer.wait(seconds) or answer.failed():
        return False
    base_offset, _, exceptions = answer.value
    return exceptions is None and has_offset(base_offset)


def _cut(
    indexes: Sequence[int], records: Sequence[Record], batch_bytes: int, record_bytes_max: int
) -> Iterator[list[int]]:
    """The indexes in pieces whose records fit one batch; a record larger than that stands alone."""
    piece: list[int] = []
    size = 0
    for index in indexes:
        needed = _bytes_at_most(records[index])
        if needed > record_bytes_max:
            raise MessageSizeTooLargeError(f"a record of {needed} bytes, at most {record_bytes_max} are sent")
        if piece and size + needed > batch_bytes:
            yield piece
            piece, size = [], 0
        piece.append(index)
        size += needed
    yield piece


def _bytes_at_most(record: Record) -> int:
    size = len(record.key) + len(record.value) + _OVERHEAD_BYTES_MAX
    for name, value in headers_of(record):
        size += len(name) + len(value) + _HEADER_OVERHEAD_BYTES_MAX
    return size


def encode_batch(records: Sequence[Record], compression: int, batch_bytes: int) -> MemoryRecordsBuilder:
    """The batch as `MemoryRecordsBuilder.append` would fill it; `compression`: a codec's number in the format."""
    memory = MemoryRecordsBuilder(_MESSAGE_FORMAT, compression, batch_bytes)
    builder = memory._builder
    first_ms = records[0].timestamp_ms
    parts: list[bytes] = []
    for offset, record in enumerate(records):
        key, value = record.key, record.value
        before = (
            _ATTRIBUTES
            + _varint(record.timestamp_ms - first_ms)
            + _varint(offset)
            + _varint(len(key))
            + key
            + _varint(len(value))
        )
        headers = _encode_headers(carried) if (carried := headers_of(record)) else _NO_HEADERS
        parts += (_varint(len(before) + len(value) + len(headers)), before, value, headers)
    builder._buffer += b"".join(parts)
    builder._first_timestamp = first_ms
    builder._max_timestamp = max(record.timestamp_ms for record in records)
    builder._last_offset = len(records) - 1
    builder._num_records = memory._next_offset = len(records)
    return memory


def headers_of(record: Record) -> Sequence[tuple[str, bytes]]:
    """The headers that a record travels with; most have none."""
    if record.traceparent is None and record.accepted_ms is None:
        return ()
    headers = [] if record.traceparent is None else [(TRACEPARENT, record.traceparent.encode())]
    return headers if record.accepted_ms is None else [*headers, (ACCEPTED_MS, b"%d" % record.accepted_ms)]


def _encode_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    encoded = _varint(len(headers))
    for name, value in headers:
        encoded += _varint(len(name)) + name.encode() + _varint(len(value)) + value
    return encoded


@lru_cache(maxsize=16_384)
def _varint(number: int) -> bytes:
    """Kafka's zigzag varint: lengths and offsets repeat, so nearly all come from the cache."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    encoded = bytearray()
    while rest > _LOW_BITS:
        encoded.append(_MORE_FOLLOWS | rest & _LOW_BITS)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
