"""Which encoded records make one invocation: batch size, window and Lambda's payload limit.

Pure: clocks are passed in, nothing waits. A lane holds one partition's records in order, as the chunks in which they
came; a batch takes from the free lanes, the one that waited longest first, at most one slice of each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from local_runtime.kafka_trigger.batch import Batch, Slice
from local_runtime.kafka_trigger.event_shape import PartitionShape

PAYLOAD_BYTES_MAX = 6_291_456  # Lambda: a synchronous invocation's request is at most 6 MB
# Per lane: one whole payload is ready while the one before is in flight. More would only cost memory.
LANE_BYTES_MAX = PAYLOAD_BYTES_MAX
# Per mapping: above it only empty lanes are filled, so blocked partitions cannot eat all memory.
BUFFER_BYTES_MAX = 8 * PAYLOAD_BYTES_MAX


class Chunk:
    """Records of one partition that came together, as columns; `taken` of them stand in batches already.

    `end_offset` is where the partition goes on behind the chunk: filtered records lie in between. `life` changes when
    the partition's log starts again from nothing.
    """

    __slots__ = ("arrived", "end_offset", "ends", "life", "offsets", "records", "taken", "timestamps")

    def __init__(
        self,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        records: Sequence[bytes],
        *,
        end_offset: int,
        arrived: float,
        life: int = 0,
    ) -> None:
        self.offsets, self.timestamps, self.records = offsets, timestamps, records
        self.end_offset, self.arrived, self.life, self.taken = end_offset, arrived, life, 0
        self.ends = list(accumulate([len(record) + 1 for record in records]))  # each with its comma

    @property
    def count(self) -> int:
        """Number of records that still wait."""
        return len(self.records) - self.taken

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the records that still wait, with a comma each."""
        return self.bytes_until(len(self.records))

    def bytes_until(self, index: int) -> int:
        """Return the bytes of the waiting records before `index`."""
        return (self.ends[index - 1] if index else 0) - (self.ends[self.taken - 1] if self.taken else 0)

    def count_within(self, room: int) -> int:
        """Return how many of the waiting records fit, the last one without a comma."""
        before = self.ends[self.taken - 1] if self.taken else 0
        return bisect_right(self.ends, before + room + 1, lo=self.taken) - self.taken


@dataclass
class Lane:
    """One partition: records that wait in order, and whether a batch of it is in flight."""

    partition: int
    shape: PartitionShape
    chunks: deque[Chunk] = field(default_factory=deque)
    waiting: int = 0
    waiting_bytes: int = 0
    is_busy: bool = False
    stuck_reason: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Append records; offsets ascend within a life."""
        self.chunks.append(chunk)
        self.waiting += chunk.count
        self.waiting_bytes += chunk.waiting_bytes

    def put_back(self, part: Slice, arrived: float) -> None:
        """Put records that were in a batch to the front again, and free the lane."""
        chunk = Chunk(
            part.offsets, part.timestamps, part.records, end_offset=part.end_offset, arrived=arrived, life=part.life
        )
        self.chunks.appendleft(chunk)
        self.waiting += chunk.count
        self.waiting_bytes += chunk.waiting_bytes
        self.is_busy = False

    def clear(self) -> None:
        """Forget everything that waits: it is fetched again."""
        self.chunks.clear()
        self.waiting = self.waiting_bytes = 0
        self.stuck_reason = None

    def is_free(self) -> bool:
        """Return whether its first record may go into a batch now."""
        return self.waiting > 0 and not self.is_busy and self.stuck_reason is None

    def pass_filtered(self) -> tuple[int, int] | None:
        """Return life and offset that an idle lane is through with since nothing was left of them, if any."""
        passed = None
        while self.chunks and not self.is_busy and not self.chunks[0].count:
            chunk = self.chunks.popleft()
            passed = chunk.life, chunk.end_offset
        return passed

    def opened(self) -> float:
        """Return when the record that waits longest arrived."""
        return next(chunk.arrived for chunk in self.chunks if chunk.count)

    def take(self, count_max: int, room: int) -> Slice | None:
        """Take a slice of one life out; None when not even the first record fits."""
        offsets: list[int] = []
        timestamps: list[int] = []
        records: list[bytes] = []
        while not self.chunks[0].count:
            self.chunks.popleft()
        life, end_offset = self.chunks[0].life, self.chunks[0].end_offset
        while self.chunks and self.chunks[0].life == life:
            chunk = self.chunks[0]
            count = min(chunk.count, count_max - len(records), chunk.count_within(room))
            first, behind = chunk.taken, chunk.taken + count
            size = chunk.bytes_until(behind)
            offsets += chunk.offsets[first:behind]
            timestamps += chunk.timestamps[first:behind]
            records += chunk.records[first:behind]
            room, chunk.taken = room - size, behind
            self.waiting, self.waiting_bytes = self.waiting - count, self.waiting_bytes - size
            if chunk.count:
                end_offset = chunk.offsets[behind] if records else end_offset
                break
            end_offset = chunk.end_offset
            self.chunks.popleft()
        if not records:
            return None
        return Slice(self.partition, self.shape, life, offsets, timestamps, records, end_offset)


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
        sum(lane.waiting for lane in free) >= limits.batch_size
        or limits.frame_bytes + sum(lane.waiting_bytes for lane in free) >= limits.payload_bytes_max
    )
    if is_full:
        return 0.0
    opened = min(lane.opened() for lane in free)
    return max(0.0, opened + limits.window_ms / 1000 - now)


def cut_batch(lanes: Iterable[Lane], limits: Limits) -> Batch | None:
    """Take the next batch out of the free lanes and mark them busy; None when nothing can go.

    A record that no payload can hold makes its lane stuck: Lambda without a destination stands still there too.
    """
    slices: list[Slice] = []
    count, size = 0, limits.frame_bytes
    free = [lane for lane in lanes if lane.is_free()]
    for lane in sorted(free, key=Lane.opened):
        if count >= limits.batch_size:
            break
        comma = 1 if slices else 0
        around = len(lane.shape.opening) + 1 + comma  # `"topic-3":[` ... `]`
        part = lane.take(limits.batch_size - count, limits.payload_bytes_max - size - around)
        if part is None:
            if not slices:
                lane.stuck_reason = _describe_oversize(lane, limits)
            continue
        count += len(part.records)
        size += around + sum(map(len, part.records)) + len(part.records) - 1
        lane.is_busy = True
        slices.append(part)
    return Batch(tuple(slices)) if slices else None


def take_oversize(lane: Lane) -> Batch:
    """Take the record that made the lane stuck, to be given up; the lane is busy until that is done."""
    part = lane.take(1, lane.waiting_bytes)
    if part is None:
        raise ValueError("the lane has no record")
    lane.stuck_reason, lane.is_busy = None, True
    return Batch((part,))


def _describe_oversize(lane: Lane, limits: Limits) -> str:
    chunk = next(chunk for chunk in lane.chunks if chunk.count)
    size = limits.frame_bytes + len(lane.shape.opening) + 1 + len(chunk.records[chunk.taken])
    return (
        f"partition {lane.partition} is stuck: the record at offset {chunk.offsets[chunk.taken]} makes an event of "
        f"{size} bytes, above Lambda's {limits.payload_bytes_max}; on AWS without a destination it is stuck too"
    )


def has_room(lane: Lane, buffered_bytes: int) -> bool:
    """Return whether more of the partition should be taken in, given the bytes that wait in all lanes."""
    if not lane.waiting:
        return True
    return lane.waiting_bytes < LANE_BYTES_MAX and buffered_bytes < BUFFER_BYTES_MAX
