"""Lambda's Kafka event -> records. The shape is AWS's, for MSK and for self-managed Kafka alike.

https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html: a batch may hold several partitions; within one, offsets
ascend. Key and value may be null or missing.
"""

import hashlib
from binascii import a2b_base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from event_analytics.record_times import accepted_ms_of


class KafkaRecord(NamedTuple):
    """One record as Kafka holds it; what Kafka has as null is None.

    `timestamp_ms`: when it was accepted, Unix milliseconds (`record_times`).
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


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
    """All records of an invocation, partition by partition, in offset order within each."""
    return [
        KafkaRecord(
            record["topic"],
            record["partition"],
            record["offset"],
            accepted_ms_of(record["timestamp"], headers) if (headers := record.get("headers")) else record["timestamp"],
            None if (key := record.get("key")) is None else a2b_base64(key),
            None if (value := record.get("value")) is None else a2b_base64(value),
        )
        for records in event["records"].values()
        for record in records
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
