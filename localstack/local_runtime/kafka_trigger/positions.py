"""Where reading a topic stands: per partition what was read, what is done, where it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kafka import TopicPartition

from local_runtime.kafka_trigger.record_batch import RawBatch


class Start(NamedTuple):
    """Where a group without offsets begins: at the oldest record, at the newest, or at a time (epoch ms)."""

    is_end: bool = False
    timestamp_ms: int | None = None


AT_OLDEST = Start()


class Fetched(NamedTuple):
    """Consecutive batches of one partition. `life` counts how often the partition's log started again.

    Records older than `since_ms` at the front are not wanted.
    """

    partition: int
    life: int
    batches: Sequence[RawBatch]
    since_ms: int | None = None


class Done(NamedTuple):
    """What was processed of a partition: everything before `next_offset` of its life."""

    life: int
    next_offset: int


@dataclass
class Position:
    """How far one partition is read and committed."""

    topic_partition: TopicPartition
    expected: int
    committed: int
    life: int = 0
    since_ms: int | None = None
    gap_since: float | None = None
    short_since: float | None = None
