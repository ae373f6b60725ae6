"""The bytes of Lambda's Kafka event: each record is encoded once, an event is a join.

Decides the JSON only. Which records stand in one event is decided in `batching`.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

TIMESTAMP_TYPES = {0: b"CREATE_TIME", 1: b"LOG_APPEND_TIME"}
SIGN_BIT = 0x80
BYTE_VALUES = 256


class KafkaRecord(Protocol):
    """What is read of a record; kafka-python's ConsumerRecord has it all."""

    @property
    def offset(self) -> int:
        """Position in the partition."""

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds."""

    @property
    def timestamp_type(self) -> int:
        """0: set by the producer, 1: set by the broker."""

    @property
    def key(self) -> bytes | None:
        """Key, if any."""

    @property
    def value(self) -> bytes | None:
        """Value; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order."""


@dataclass(frozen=True)
class PartitionShape:
    """The parts of an event that are the same for every record of one partition."""

    opening: bytes  # `"topic-3":[`
    record_opening: bytes  # `{"topic":"topic","partition":3,"offset":`


@dataclass(frozen=True)
class EventShape:
    """The parts of an event that are the same for every event of one mapping."""

    opening: bytes
    topic: str

    @classmethod
    def of(
        cls, topic: str, bootstrap_servers: str, event_source: str, event_source_arn: str | None = None
    ) -> EventShape:
        """Return the shape for MSK (with an ARN) or for self-managed Kafka (without)."""
        arn = {} if event_source_arn is None else {"eventSourceArn": event_source_arn}
        head = {"eventSource": event_source, **arn, "bootstrapServers": bootstrap_servers}
        return cls(opening=_to_json(head)[:-1] + b',"records":{', topic=topic)

    def partition(self, number: int) -> PartitionShape:
        """Return the shape of one partition's part."""
        record = _to_json({"topic": self.topic, "partition": number})[:-1]
        return PartitionShape(_to_json(f"{self.topic}-{number}") + b":[", record + b',"offset":')

    @property
    def frame_bytes(self) -> int:
        """Bytes of an event that holds no record."""
        return len(self.opening) + len(b"}}")

    def join(self, parts: Sequence[tuple[PartitionShape, Sequence[bytes]]]) -> bytes:
        """Return the event of these encoded records, partition by partition."""
        lists = [shape.opening + b",".join(records) + b"]" for shape, records in parts]
        return self.opening + b",".join(lists) + b"}}"


def encode_record(shape: PartitionShape, record: KafkaRecord) -> bytes:
    """Return one record as it stands in the event; base64 for key and value, null where Kafka has none."""
    key, value = record.key, record.value
    return b'%b%d,"timestamp":%d,"timestampType":"%b","key":%b,"value":%b,"headers":%b}' % (
        shape.record_opening,
        record.offset,
        record.timestamp,
        TIMESTAMP_TYPES[record.timestamp_type],
        b"null" if key is None else b'"%b"' % b2a_base64(key, newline=False),
        b"null" if value is None else b'"%b"' % b2a_base64(value, newline=False),
        _encode_headers(record.headers) if record.headers else b"[]",
    )


def _encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    # Lambda's poller is Java, whose bytes are signed: a byte of 0xC3 arrives as -61.
    signed = [
        {name: None if value is None else [byte - BYTE_VALUES if byte & SIGN_BIT else byte for byte in value]}
        for name, value in headers
    ]
    return _to_json(signed)


def _to_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
