"""Which offsets the archive holds, told by the names of its objects."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from event_analytics.archive_coverage import Coverage, Lane, OffsetRange, OffsetSet, cover, without
from event_analytics.archive_keys import ArchiveKey, key_of

HOUR = datetime(2026, 9, 21, 14, tzinfo=UTC)
RANGES = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: OffsetRange(pair[0], sum(pair)))


def a_key(first: int, last: int, *, hours: int = 0, digest: str = "00000000", **fields: object) -> ArchiveKey:
    return ArchiveKey("events", HOUR + timedelta(hours=hours), 0, "e1", first, last, digest)._replace(**fields)  # type: ignore[arg-type]


def cover_all(*keys: ArchiveKey, is_whole: bool = True) -> list[Coverage]:
    return cover(sorted(keys, key=key_of), is_whole=is_whole)


def offsets_of(ranges: list[OffsetRange]) -> list[int]:
    return [offset for reach in ranges for offset in range(reach.first, reach.last + 1)]


@given(st.lists(RANGES), RANGES)
def test_a_set_of_ranges_is_a_set_of_offsets(ranges: list[OffsetRange], wanted: OffsetRange) -> None:
    expected: set[int] = set()
    offsets = OffsetSet()
    for reach in ranges:
        held = expected & set(offsets_of([reach]))
        assert offsets.add(reach) == len(held)
        expected |= set(offsets_of([reach]))

    found = offsets.ranges()
    assert offsets_of(found) == sorted(expected)
    assert all(left.last + 1 < right.first for left, right in pairwise(found))
    assert offsets_of(list(offsets.missing_from(wanted))) == sorted(set(offsets_of([wanted])) - expected)


@given(st.lists(RANGES, min_size=1))
def test_gaps_are_what_no_object_holds_however_objects_overlap(ranges: list[OffsetRange]) -> None:
    (coverage,) = cover_all(*{a_key(*reach) for reach in ranges})
    held = set(offsets_of(ranges))

    assert offsets_of(coverage.covered) == sorted(held)
    assert set(offsets_of(coverage.gaps)) == set(range(max(held))) - held
    assert coverage.records == len(held)
    assert coverage.conflicts == []


def test_overlap_within_an_hour_is_counted_and_is_no_gap_and_no_conflict() -> None:
    (coverage,) = cover_all(a_key(0, 9), a_key(5, 19), a_key(20, 29, hours=1))

    assert (coverage.gaps, coverage.conflicts, coverage.repeated, coverage.objects) == ([], [], 5, 3)


def test_a_missing_head_is_a_gap_of_the_whole_archive_and_not_of_a_window() -> None:
    keys = [a_key(7, 9), a_key(12, 12)]

    assert cover_all(*keys)[0].gaps == [OffsetRange(0, 6), OffsetRange(10, 11)]
    assert cover_all(*keys, is_whole=False)[0].gaps == [OffsetRange(10, 11)]


def test_topics_partitions_and_lives_have_offsets_of_their_own() -> None:
    lanes = cover_all(
        a_key(0, 0), a_key(0, 1, epoch="e2"), a_key(0, 2, partition=1), a_key(0, 3, topic="event-changes")
    )

    assert [(each.lane, each.records, each.gaps) for each in lanes] == [
        (Lane("event-changes", "e1", 0), 4, []),
        (Lane("events", "e1", 0), 1, []),
        (Lane("events", "e1", 1), 3, []),
        (Lane("events", "e2", 0), 2, []),
    ]


def test_the_same_offsets_with_other_content_are_a_conflict() -> None:
    (coverage,) = cover_all(a_key(0, 9), a_key(0, 9, digest="00000001"))

    assert coverage.conflicts == [OffsetRange(0, 9)]


def test_an_offset_in_two_hours_is_a_conflict() -> None:
    (coverage,) = cover_all(a_key(0, 9), a_key(8, 12, hours=3), a_key(11, 20, hours=4))

    assert coverage.conflicts == [OffsetRange(8, 9), OffsetRange(11, 12)]


def test_a_gap_whose_offsets_stand_in_other_hours_is_none() -> None:
    coverages = cover_all(a_key(0, 3), a_key(8, 9), a_key(0, 3, partition=1), is_whole=False)
    lane = coverages[0].lane

    assert without(coverages, [(lane, OffsetRange(2, 5))])[0].gaps == [OffsetRange(6, 7)]
    assert without(coverages, [(lane, OffsetRange(4, 7))])[0].gaps == []
    assert without(coverages, [(lane._replace(partition=7), OffsetRange(4, 7))])[0].gaps == [OffsetRange(4, 7)]
