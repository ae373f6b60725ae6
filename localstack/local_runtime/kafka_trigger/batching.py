"""Which encoded records make one invocation: batch size, window and Lambda's payload limit.

Pure: clocks are passed in, nothing waits. A lane holds one partition's encoded records in order; a batch takes
from the free lanes, the one that waited longest first, and takes at most one slice of each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from local_runtime.kafka_trigger.event_shape import EventShape, PartitionShape

PAYLOAD_BYTES_MAX = 6_291_456  # Lambda: a synchronous invocation's request is at most 6 MB
# Per lane: one whole payload is ready while the one before is in flight. More would only cost memory.
LANE_BYTES_MAX = PAYLOAD_BYTES_MAX
# Per mapping: above it only empty lanes are filled, so blocked partitions cannot eat all memory.
BUFFER_BYTES_MAX = 8 * PAYLOAD_BYTES_MAX


class Waiting(NamedTuple):
    """One encoded record. `life` changes when the partition's log starts again from nothing."""

    offset: int
    encoded: bytes
    arrived: float
    life: int


@dataclass
class Lane:
    """One partition: records that wait in order, and whether a batch of it is in flight."""

    partition: int
    shape: PartitionShape
    waiting: deque[Waiting] = field(default_factory=deque)
    waiting_bytes: int = 0
    is_busy: bool = False
    stuck_reason: str | None = None

    def add(self, record: Waiting) -> None:
        """Append a record; offsets ascend within a life."""
        self.waiting.append(record)
        self.waiting_bytes += len(record.encoded) + 1

    def is_free(self) -> bool:
        """Return whether its first record may go into a batch now."""
        return bool(self.waiting) and not self.is_busy and self.stuck_reason is None


@dataclass(frozen=True)
class Slice:
    """A batch's records of one partition, encoded, contiguous and in order."""

    partition: int
    shape: PartitionShape
    life: int
    first_offset: int
    last_offset: int
    records: tuple[bytes, ...]


@dataclass(frozen=True)
class Batch:
    """What one invocation gets; it is retried with the same records in the same order."""

    slices: tuple[Slice, ...]

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(len(part.records) for part in self.slices)

    def split(self) -> list[Batch]:
        """Return one batch per partition, so that one that fails holds up only itself."""
        return [Batch((part,)) for part in self.slices]

    def payload(self, shape: EventShape) -> bytes:
        """Return the bytes to invoke with."""
        return shape.join([(part.shape, part.records) for part in self.slices])


@dataclass(frozen=True)
class Limits:
    """What closes a batch. `window_ms` starts with the arrival of the batch's first record."""

    batch_size: int
    window_ms: int
    frame_bytes: int
    payload_bytes_max: int = PAYLOAD_BYTES_MAX


def seconds_until_ready(lanes: Iterable[Lane], limits: Limits, now: float) -> float | None:
    """Return how long a batch may still grow: 0 when it is due, None when nothing waits."""
    free = [lane for lane in lanes if lane.is_free()]
    if not free:
        return None
    is_full = (
        sum(len(lane.waiting) for lane in free) >= limits.batch_size
        or limits.frame_bytes + sum(lane.waiting_bytes for lane in free) >= limits.payload_bytes_max
    )
    if is_full:
        return 0.0
    opened = min(lane.waiting[0].arrived for lane in free)
    return max(0.0, opened + limits.window_ms / 1000 - now)


def cut_batch(lanes: Iterable[Lane], limits: Limits) -> Batch | None:
    """Take the next batch out of the free lanes and mark them busy; None when nothing can go.

    A record that no payload can hold makes its lane stuck: Lambda without a destination stands still there too.
    """
    slices: list[Slice] = []
    count, size = 0, limits.frame_bytes
    free = [lane for lane in lanes if lane.is_free()]
    for lane in sorted(free, key=lambda lane: lane.waiting[0].arrived):
        if count >= limits.batch_size:
            break
        # `"topic-3":[` ... `]`, and the comma before it
        room = limits.payload_bytes_max - size - len(lane.shape.opening) - 1 - (1 if slices else 0)
        part = _cut_slice(lane, limits.batch_size - count, room)
        if part is None:
            if not slices:
                lane.stuck_reason = _describe_oversize(lane, limits)
            continue
        count += len(part.records)
        commas = len(part.records) - 1 + (1 if slices else 0)
        size += len(lane.shape.opening) + sum(map(len, part.records)) + commas + 1
        lane.is_busy = True
        slices.append(part)
    return Batch(tuple(slices)) if slices else None


def _cut_slice(lane: Lane, count_max: int, room: int) -> Slice | None:
    waiting = lane.waiting
    taken: list[bytes] = []
    first = last = waiting[0]
    while waiting and len(taken) < count_max and waiting[0].life == first.life:
        room -= len(waiting[0].encoded) + (1 if taken else 0)
        if room < 0:
            break
        last = waiting.popleft()
        lane.waiting_bytes -= len(last.encoded) + 1
        taken.append(last.encoded)
    if not taken:
        return None
    return Slice(lane.partition, lane.shape, first.life, first.offset, last.offset, tuple(taken))


def _describe_oversize(lane: Lane, limits: Limits) -> str:
    record = lane.waiting[0]
    size = limits.frame_bytes + len(lane.shape.opening) + 1 + len(record.encoded)
    return (
        f"partition {lane.partition} is stuck: the record at offset {record.offset} makes an event of {size} "
        f"bytes, above Lambda's {limits.payload_bytes_max}; on AWS without a destination it is stuck too"
    )


def may_fetch(lane: Lane, buffered_bytes: int) -> bool:
    """Return whether more of the partition should be fetched, given the bytes that wait in all lanes."""
    if not lane.waiting:
        return True
    return lane.waiting_bytes < LANE_BYTES_MAX and buffered_bytes < BUFFER_BYTES_MAX
