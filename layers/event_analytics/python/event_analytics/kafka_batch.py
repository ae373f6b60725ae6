"""Lambda's Kafka event -> records. The shape is AWS's, for MSK and for self-managed Kafka alike.

https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html: a batch may hold several partitions; within one, offsets
ascend. Key and value may be null or missing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from event_analytics.record_times import accepted_ms_of


class KafkaRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as Kafka holds it; what Kafka has as null is None.

    `timestamp_ms`: when it was accepted, Unix milliseconds (`record_times`).
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int = msgspec.field(name="timestamp")
    key: bytes | None = None
    value: bytes | None = None


_Batch = dict[str, list[KafkaRecord]]  # by topic and partition; msgspec reads base64 wherever bytes are meant


class OffsetRun(NamedTuple):
    """Records of one partition in offset order, with nothing left out by the batch they came in."""

    topic: str
    partition: int
    records: Sequence[KafkaRecord]

    @property
    def first_offset(self) -> int:
        """Offset of the first record."""
        return self.records[0].offset

    @property
    def last_offset(self) -> int:
        """Offset of the last record, included."""
        return self.records[-1].offset


def read_records(event: Mapping[str, Any]) -> list[KafkaRecord]:
    """All records of an invocation, partition by partition, in offset order within each.

    Raises:
        msgspec.ValidationError: this is no event that Lambda makes of a Kafka batch.
    """
    records = [*chain.from_iterable(msgspec.convert(event["records"], _Batch).values())]
    carried = [each.get("headers") for each in chain.from_iterable(event["records"].values())]
    if not any(carried):
        return records
    return [
        structs.replace(record, timestamp_ms=accepted_ms_of(record.timestamp_ms, headers)) if headers else record
        for record, headers in zip(records, carried, strict=True)
    ]


def runs_of(records: Iterable[KafkaRecord]) -> list[OffsetRun]:
    """Records grouped by partition, in order of topic, partition and offset, so that a redelivery groups alike."""
    ordered = sorted(records, key=attrgetter("topic", "partition", "offset"))
    return [
        OffsetRun(topic, partition, list(group))
        for (topic, partition), group in groupby(ordered, key=attrgetter("topic", "partition"))
    ]


def digest_of(records: Iterable[KafkaRecord], digest_bytes: int) -> str:
    """Hex blake2b over the values, each preceded by its length: the same for the same values, whatever the batch."""
    digest = hashlib.blake2b(digest_size=digest_bytes)
    for record in records:
        value = record.value or b""
        digest.update(len(value).to_bytes(4, "big"))
        digest.update(value)
    return digest.hexdigest()
