"""Batches by hand: partition -> offsets."""

from __future__ import annotations

from local_runtime.kafka_trigger.batch import Batch, Slice
from local_runtime.kafka_trigger.event_shape import EventShape

SHAPE = EventShape.of("t", "b:9092", "aws:kafka", "arn")


def make_slice(partition: int, offsets: list[int], timestamp: int = 1000) -> Slice:
    shape = SHAPE.partition(partition)
    records = [b'%b%d,"key":"a2V5","value":"dg=="}' % (shape.record_opening, offset) for offset in offsets]
    return Slice(partition, shape, 0, offsets, [timestamp + offset for offset in offsets], records, offsets[-1] + 1)


def make_batch(parts: dict[int, list[int]]) -> Batch:
    return Batch(tuple(make_slice(partition, offsets) for partition, offsets in parts.items()))


def offsets_of(batch: Batch) -> dict[int, list[int]]:
    return {part.partition: part.offsets for part in batch.slices}
