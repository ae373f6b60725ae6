"""The records of one invocation, and what may become of them: halves, single records, what is left to retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from local_runtime.kafka_trigger.event_shape import EventShape, PartitionShape

Wanted = Callable[["Slice", int], bool]


@dataclass(frozen=True)
class Slice:
    """A batch's records of one partition, encoded, in order; same index, same record.

    `end_offset` is where the partition goes on once all of them are done. Between offsets there may be holes:
    records that a filter or an earlier try took out.
    """

    partition: int
    shape: PartitionShape
    life: int
    offsets: list[int]
    timestamps: list[int]
    records: list[bytes]
    end_offset: int

    def between(self, first: int, behind: int) -> Slice:
        """Return the records from index `first` to before `behind`."""
        end_offset = self.end_offset if behind >= len(self.offsets) else self.offsets[behind]
        part = slice(first, behind)
        return Slice(
            self.partition,
            self.shape,
            self.life,
            self.offsets[part],
            self.timestamps[part],
            self.records[part],
            end_offset,
        )

    def only(self, wanted: Wanted) -> Slice:
        """Return the records whose index is wanted, in order; possibly none."""
        kept = [index for index in range(len(self.offsets)) if wanted(self, index)]
        return Slice(
            self.partition,
            self.shape,
            self.life,
            [self.offsets[index] for index in kept],
            [self.timestamps[index] for index in kept],
            [self.records[index] for index in kept],
            self.end_offset,
        )


@dataclass(frozen=True)
class Batch:
    """What one invocation gets. No slice is empty."""

    slices: tuple[Slice, ...]

    @cached_property
    def count(self) -> int:
        """Number of records."""
        return sum(len(part.records) for part in self.slices)

    def halve(self) -> tuple[Batch, Batch]:
        """Return the first and the second half of at least two records."""
        middle, before, after = self.count // 2, [], []
        for part in self.slices:
            size = len(part.records)
            inside = min(max(middle, 0), size)
            if inside:
                before.append(part.between(0, inside))
            if inside < size:
                after.append(part.between(inside, size))
            middle -= size
        return Batch(tuple(before)), Batch(tuple(after))

    def only(self, wanted: Wanted) -> Batch:
        """Return the batch of the wanted records; it may have none."""
        parts = [part.only(wanted) for part in self.slices]
        return Batch(tuple(part for part in parts if part.records))

    def singles(self) -> list[Batch]:
        """Return one batch per record, in order."""
        return [Batch((part.between(index, index + 1),)) for part in self.slices for index in range(len(part.records))]

    def payload(self, shape: EventShape) -> bytes:
        """Return the bytes to invoke with."""
        return shape.join([(part.shape, part.records) for part in self.slices])
