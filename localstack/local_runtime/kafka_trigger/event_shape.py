"""The bytes of Lambda's Kafka event that do not depend on one record: an event is a join of encoded records.

Decides the JSON around the records; `record_batch` writes the records, `batching` decides which stand in one event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

SIGN_BIT = 0x80
BYTE_VALUES = 256

Headers = Sequence[tuple[str, bytes | None]]


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
        """Return the event of these encoded records, partition by partition; no partition is without one.

        One join over everything: an event has up to 6 MB, and each copy of it costs what encoding 500 records does.
        """
        joined: list[bytes] = []
        for shape, records in parts:
            first = len(joined)
            joined += records
            joined[first] = shape.opening + joined[first]
            joined[-1] += b"]"
        return self.opening + b"}}" if not joined else self._frame(joined)

    def _frame(self, joined: list[bytes]) -> bytes:
        joined[0] = self.opening + joined[0]
        joined[-1] += b"}}"
        return b",".join(joined)


def encode_headers(headers: Headers) -> bytes:
    """Return a record's headers as AWS writes them: one object each, the value as a list of signed bytes."""
    # Lambda's poller is Java, whose bytes are signed: a byte of 0xC3 arrives as -61.
    signed = [
        {name: None if value is None else [byte - BYTE_VALUES if byte & SIGN_BIT else byte for byte in value]}
        for name, value in headers
    ]
    return _to_json(signed)


def _to_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
