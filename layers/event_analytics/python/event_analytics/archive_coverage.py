"""Names of archived objects -> which offsets the archive holds, which are missing, which contradict each other.

Pure: `scripts/archive.py` lists and prints. Overlapping objects are fine, since a redelivery cuts batches elsewhere;
what counts is the union. An offset has one acceptance time, so its objects lie in one hour: the same offset in two
hours, or the same offsets with other content, are two lives of a topic under one epoch.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from event_analytics.archive_keys import ArchiveKey

FIRST_OFFSET: Final = 0  # of a topic's life


class OffsetRange(NamedTuple):
    """Offsets `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many offsets."""
        return self.last - self.first + 1


class Lane(NamedTuple):
    """What has offsets of its own: one partition of one topic in one of its lives."""

    topic: str
    epoch: str
    partition: int


class OffsetSet:
    """A union of ranges, kept as disjoint ranges that do not touch: as many as there are holes, and one more."""

    def __init__(self, ranges: Iterable[OffsetRange] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for each in ranges:
            self.add(each)

    def add(self, added: OffsetRange) -> int:
        """Number of its offsets that were in the set before."""
        low = bisect_left(self._lasts, added.first - 1)
        high = bisect_right(self._firsts, added.last + 1)
        firsts, lasts = self._firsts[low:high], self._lasts[low:high]  # of the ranges it overlaps or touches
        self._firsts[low:high] = [min([added.first, *firsts])]
        self._lasts[low:high] = [max([added.last, *lasts])]
        return sum(
            max(0, min(last, added.last) - max(first, added.first) + 1)
            for first, last in zip(firsts, lasts, strict=True)
        )

    def ranges(self) -> list[OffsetRange]:
        """The disjoint ranges in order."""
        return [OffsetRange(first, last) for first, last in zip(self._firsts, self._lasts, strict=True)]

    def missing_from(self, wanted: OffsetRange) -> Iterator[OffsetRange]:
        """The parts of `wanted` that are not in the set, in order."""
        following = wanted.first
        for index in range(bisect_left(self._lasts, wanted.first), bisect_right(self._firsts, wanted.last)):
            if self._firsts[index] > following:
                yield OffsetRange(following, self._firsts[index] - 1)
            following = max(following, self._lasts[index] + 1)
        if following <= wanted.last:
            yield OffsetRange(following, wanted.last)


class Coverage(NamedTuple):
    """What the archive holds of one lane.

    `covered`: the union, in order. `gaps`: what is missing before or between. `repeated`: how many offsets stand in an
    object although another has them. `conflicts`: offsets that two lives of the topic claim.
    """

    lane: Lane
    objects: int
    records: int
    covered: list[OffsetRange]
    gaps: list[OffsetRange]
    repeated: int
    conflicts: list[OffsetRange]


class _Tally:
    """One lane while it is read."""

    def __init__(self) -> None:
        self.objects = 0
        self.repeated = 0
        self.held = OffsetSet()
        self.conflicts = OffsetSet()

    def add_hour(self, keys: Iterable[ArchiveKey]) -> None:
        """Take one hour's objects. Kept apart from other hours until all are in, as only those may not overlap."""
        in_hour = OffsetSet()
        previous: ArchiveKey | None = None
        for key in keys:
            self.objects += 1
            reach = OffsetRange(key.first_offset, key.last_offset)
            self.repeated += in_hour.add(reach)
            if previous and previous[:-1] == key[:-1]:  # names in order: the same offsets stand side by side
                self.conflicts.add(reach)
            previous = key
        for reach in in_hour.ranges():
            fresh = list(self.held.missing_from(reach))
            for twice in OffsetSet(fresh).missing_from(reach):
                self.conflicts.add(twice)
            self.held.add(reach)

    def describe(self, lane: Lane, *, is_whole: bool) -> Coverage:
        covered = self.held.ranges()
        start = FIRST_OFFSET if is_whole else covered[0].first
        gaps = list(self.held.missing_from(OffsetRange(start, covered[-1].last)))
        records = sum(reach.size for reach in covered)
        return Coverage(lane, self.objects, records, covered, gaps, self.repeated, self.conflicts.ranges())


def cover(keys: Iterable[ArchiveKey], *, is_whole: bool) -> list[Coverage]:
    """Coverage of every lane, in order. `keys` come in the order of their names, as S3 lists them.

    `is_whole`: the keys are all there are, so that each lane has to begin at offset 0.
    """
    tallies: dict[Lane, _Tally] = {}
    for (lane, _), in_hour in groupby(keys, key=lambda key: (lane_of(key), key.hour)):
        tallies.setdefault(lane, _Tally()).add_hour(in_hour)
    return [tally.describe(lane, is_whole=is_whole) for lane, tally in sorted(tallies.items())]


def lane_of(key: ArchiveKey) -> Lane:
    """Whose offsets the name is about."""
    return Lane(key.topic, key.epoch, key.partition)


def without(coverages: Sequence[Coverage], elsewhere: Iterable[tuple[Lane, OffsetRange]]) -> list[Coverage]:
    """The same with gaps closed by ranges that are known to stand elsewhere, or to be empty on purpose.

    A spooled event reaches its partition hours after its acceptance: its offset is missing among its neighbours' hours
    and stands in another. Erasure leaves holes that are meant.
    """
    known: dict[Lane, OffsetSet] = {each.lane: OffsetSet() for each in coverages}
    for lane, reach in elsewhere:
        if lane in known:
            known[lane].add(reach)
    return [
        each._replace(gaps=[left for gap in each.gaps for left in known[each.lane].missing_from(gap)])
        for each in coverages
    ]
