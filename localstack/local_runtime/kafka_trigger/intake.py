"""From fetched batches to lanes: unpack as far as there is room, encode once, filter, count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kafka.errors import KafkaError

from local_runtime.kafka_trigger.batching import Chunk, Lane, has_room
from local_runtime.kafka_trigger.consumer import unpack
from local_runtime.kafka_trigger.positions import Fetched
from local_runtime.kafka_trigger.record_batch import Encoded, Keeps, RawBatch, encode_batch


class Arrival(NamedTuple):
    """A batch as it came, still compressed: a fetch of 2 MB may hold a hundred times as much."""

    batch: RawBatch
    life: int
    since_ms: int | None
    arrived: float


@dataclass
class Unpacked:
    """What was encoded. `begun`: partitions that reached the first record which the starting position wants."""

    records: int = 0
    filtered: int = 0
    begun: set[int] = field(default_factory=set)


class Inbox:
    """Fetched batches of one mapping that are not encoded yet, by partition.

    `unreadable`: partitions that stand still at a batch which cannot be unpacked here, with the reason.
    """

    def __init__(self, keeps: Keeps | None) -> None:
        self.unreadable: dict[int, str] = {}
        self._keeps = keeps
        self._arrivals: dict[int, deque[Arrival]] = {}

    def put(self, fetched: Iterable[Fetched], arrived: float) -> None:
        """Take in what a poll brought."""
        for part in fetched:
            queue = self._arrivals.setdefault(part.partition, deque())
            queue.extend(Arrival(batch, part.life, part.since_ms, arrived) for batch in part.batches)

    def holds(self, partition: int) -> bool:
        """Return whether batches of the partition wait for room in its lane."""
        return bool(self._arrivals.get(partition))

    def clear(self) -> None:
        """Forget everything: it is fetched again."""
        self._arrivals.clear()
        self.unreadable.clear()

    def unpack_into(self, lanes: Mapping[int, Lane]) -> Unpacked:
        """Move records to their lanes, as many as these have room for.

        A batch that cannot be unpacked stays, and all that is behind it in its partition: others go on.
        """
        unpacked = Unpacked()
        buffered = sum(lane.waiting_bytes for lane in lanes.values())
        for partition, queue in self._arrivals.items():
            lane = lanes[partition]
            while queue and has_room(lane, buffered):
                before = lane.waiting_bytes
                try:
                    self._unpack_some(queue, lane, unpacked)
                except KafkaError as error:
                    self.unreadable[partition] = f"partition {partition}, offset {queue[0].batch.first_offset}: {error}"
                    break
                self.unreadable.pop(partition, None)
                buffered += lane.waiting_bytes - before
        return unpacked

    def _unpack_some(self, queue: deque[Arrival], lane: Lane, unpacked: Unpacked) -> None:
        """Encode batches that came together until they fill a lane or cannot be unpacked, as one chunk.

        Raises:
            kafka.errors.KafkaError: the first of them cannot be unpacked; it is still there.
        """
        first = last = queue[0]
        payload: bytes | None = unpack(first.batch)
        encoded = Encoded()
        while payload is not None:
            last = queue.popleft()
            encode_batch(last.batch, payload, lane.shape, encoded, self._keeps)
            payload = _unpack_next(queue, first, encoded)
        unpacked.records += len(encoded.records) + encoded.filtered
        unpacked.filtered += encoded.filtered
        if first.since_ms is not None and lane.partition not in unpacked.begun:
            encoded.skip_older(first.since_ms)
            if encoded.records:
                unpacked.begun.add(lane.partition)
        end_offset = last.batch.last_offset + 1
        columns = encoded.offsets, encoded.timestamps, encoded.records
        lane.add(Chunk(*columns, end_offset=end_offset, arrived=first.arrived, life=first.life))


def _unpack_next(queue: deque[Arrival], first: Arrival, encoded: Encoded) -> bytes | None:
    """Return what goes into the chunk of `first` as well; None for nothing, or what cannot be unpacked: it stays."""
    if not queue or queue[0].arrived != first.arrived or queue[0].life != first.life or encoded.is_large():
        return None
    try:
        return unpack(queue[0].batch)
    except KafkaError:
        return None
