"""The scheduled check over fakes: which hours it checks, where it goes on, and what it counts."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from event_analytics.archive import plan_archive
from event_analytics.erasure_index import ErasureIndex
from event_analytics.errors import StoreUnavailable
from event_analytics.integrity import Report
from event_analytics.integrity_cursor import CURSOR_NAME, LATE_HOURS, Cursor, count_objects, read_cursor
from event_analytics.integrity_job import SETTLE_SECONDS, Sides, Verifier
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from tests.builders import ids_in
from tests.fakes import FakeEventStore
from tests.unit.event_analytics.both_sides import HOUR, HOUR_MS, START, START_MS, StoreOf, an_archived_event
from tests.unit.event_analytics.replay_archive import after, archive_of

START_S = START_MS // 1_000
HOUR_S = 3_600


class World:
    """An archive, a store, and the runs of the job over both. `hours`: how many after START are over at a run."""

    def __init__(self, *batches: Sequence[KafkaRecord]) -> None:
        self.store = StoreOf([record for batch in batches for record in batch], [])
        self.objects = archive_of(*batches)
        self.verifier = Verifier()
        self.line = InvocationLine()

    def archive(self, batch: Sequence[KafkaRecord], epoch: str = "e1") -> None:
        for archived in plan_archive(batch, epoch):
            self.objects.put_new(archived.name, archived.body)

    def run(
        self, hours: float, is_over: Callable[[], bool] = lambda: False, store: FakeEventStore | None = None
    ) -> list[Report]:
        self.line = InvocationLine()
        now = START_S + hours * HOUR_S + SETTLE_SECONDS
        sides = Sides(store or self.store, self.objects, ErasureIndex())
        return self.verifier.run(sides, self.line, now, is_over)

    @property
    def cursor(self) -> Cursor:
        cursor = read_cursor(self.objects)
        assert cursor is not None
        return cursor


def hours_of(reports: Sequence[Report]) -> list[int]:
    """After START."""
    return [(report.start - START) // HOUR for report in reports]


def hourly(hours: int) -> list[list[KafkaRecord]]:
    """One event in each hour from START on, archived by itself."""
    return [[an_archived_event(number, START_MS + number * HOUR_MS)] for number in range(hours)]


def test_an_archive_that_was_never_checked_begins_with_the_last_full_hour() -> None:
    world = World(*hourly(9))

    reports = world.run(hours=6)

    assert hours_of(reports) == [5]
    assert world.cursor.checked_until == START_S + 6 * HOUR_S
    assert world.run(hours=6) == []


def test_an_hour_is_checked_once_it_is_over_for_a_while() -> None:
    world = World(*hourly(3))
    world.run(hours=1)

    assert world.run(hours=1.999) == []
    assert hours_of(world.run(hours=2)) == [1]


def test_hours_in_which_no_run_came_are_checked_by_the_next() -> None:
    world = World(*hourly(9))
    world.run(hours=1)

    assert hours_of(world.run(hours=7)) == [1, 2, 3, 4, 5, 6]
    assert world.line.counts["verified_hours"] == 6


def test_an_hour_whose_run_failed_is_checked_by_the_next() -> None:
    world = World(*hourly(3))
    world.run(hours=1)
    down = FakeEventStore()
    down.is_down = True

    with pytest.raises(StoreUnavailable):
        world.run(hours=2, store=down)

    assert world.line.counts["unverified_seconds"] == HOUR_S + SETTLE_SECONDS
    assert hours_of(world.run(hours=2)) == [1]


def test_a_run_ends_in_time_and_the_next_goes_on_where_it_ended() -> None:
    world = World(*hourly(7))
    world.run(hours=1)

    first = world.run(hours=6, is_over=after(6))
    left = world.line.counts["unverified_seconds"]
    second = world.run(hours=6)

    assert 0 < len(first) < 5
    assert left == (5 - len(first)) * HOUR_S + SETTLE_SECONDS
    assert hours_of(first + second) == [1, 2, 3, 4, 5]
    assert world.line.counts["unverified_seconds"] == SETTLE_SECONDS


def batches_of_an_hour(number: int) -> list[list[KafkaRecord]]:
    return [[an_archived_event(each, START_MS + each)] for each in range(number)]


def test_an_hour_that_is_too_large_for_one_run_goes_on_in_the_next_and_reads_nothing_twice() -> None:
    world = World(*batches_of_an_hour(9))
    asked = []

    for _ in range(30):
        reports = world.run(hours=1, is_over=lambda: True)
        asked += [world.store.asked.pop(0) for _ in list(world.store.asked)]
        if reports:
            break

    assert [(report.archived_events, report.is_clean) for report in reports] == [(9, True)]
    compared = [identifier for _, parameters in asked if "ids" in parameters for identifier in ids_in(parameters)]
    assert sorted(compared) == sorted(str(UUID(int=number)) for number in range(9))


def test_a_process_that_ends_amid_an_hour_leaves_it_to_the_next() -> None:
    world = World(*batches_of_an_hour(9))
    assert world.run(hours=1, is_over=after(3)) == []
    world.verifier = Verifier()

    reports = world.run(hours=1)

    assert [(report.archived_events, report.is_clean) for report in reports] == [(9, True)]


def test_what_comes_late_into_a_checked_hour_is_checked_when_the_next_hour_is_over() -> None:
    world = World(*hourly(9))
    world.run(hours=1)
    world.run(hours=5)
    late = an_archived_event(100, START_MS + 2 * HOUR_MS)
    world.archive([late])  # and never loaded

    at_once = world.run(hours=5.5)
    reports = world.run(hours=6)

    assert at_once == []
    assert hours_of(reports) == [2, 5]
    assert [(report.missing, report.listed[0].id) for report in reports if report.missing] == [(1, UUID(int=100))]
    assert world.run(hours=7)[0].is_clean
    assert world.cursor.again == ()


def test_what_comes_into_an_hour_from_before_the_first_check_is_noticed_too() -> None:
    world = World(*hourly(9))
    world.run(hours=6)
    world.archive([an_archived_event(100, START_MS + 2 * HOUR_MS)])

    assert hours_of(world.run(hours=7)) == [2, 6]


def test_objects_that_go_at_the_end_of_their_retention_make_no_hour_due() -> None:
    world = World(*hourly(9))
    world.run(hours=1)
    world.run(hours=5)
    for name in [name for name in world.objects.objects if "/hour=15/" in name]:
        world.objects.delete(name)

    assert hours_of(world.run(hours=6)) == [5]


def test_what_is_remembered_of_hours_is_bounded() -> None:
    world = World(*hourly(LATE_HOURS + 12))
    world.run(hours=1)
    for hours in range(2, LATE_HOURS + 12):
        world.run(hours=hours)

    assert len(world.cursor.objects) <= LATE_HOURS + 1


def test_an_hour_that_got_objects_while_it_was_read_is_begun_anew() -> None:
    world = World(*batches_of_an_hour(3))
    assert world.run(hours=1, is_over=after(1)) == []
    # Its name sorts before those that were read, and its event is loaded: unexplained to who does not read it.
    world.archive([an_archived_event(77, START_MS + 7)], epoch="e0")
    world.store.events.append({**world.store.events[0], "id": str(UUID(int=77))})

    assert world.run(hours=1) == []
    (report,) = world.run(hours=1)

    assert (report.extra, report.missing) == (0, 0)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"checked_until": "x"}', b'{"\xff": 1}'])
def test_a_cursor_that_cannot_be_read_is_none(body: bytes) -> None:
    world = World(*hourly(3))
    world.objects.put_new(CURSOR_NAME, body)

    assert hours_of(world.run(hours=2)) == [1]
    assert world.cursor.checked_until == START_S + 2 * HOUR_S


def test_objects_are_counted_by_hour_and_what_is_no_batch_is_not() -> None:
    world = World(*hourly(3), *hourly(1))
    world.objects.put_new("raw/v1/topic=events/date=2026-09-21/hour=14/notes.txt", b"")

    assert count_objects(world.objects, START_S, START_S + 2 * HOUR_S) == {START_S: 1, START_S + HOUR_S: 1}


def test_what_a_run_found_is_counted_and_the_ids_are_named() -> None:
    events = [
        an_archived_event(0, START_MS),
        an_archived_event(1, START_MS + 1, id=str(UUID(int=0)), timestamp="2026-09-21T18:00:00Z"),
    ]
    world = World(events)

    (report,) = world.run(hours=1)

    assert (report.start, report.end) == (START, START + HOUR)
    assert world.line.counts == {
        "verified_hours": 1, "missing_events": 0, "extra_events": 0, "conflicting_events": 1, "settled_conflicts": 0,
        "unreadable_objects": 0, "duplicate_events": 1, "unverified_seconds": SETTLE_SECONDS,
    }  # fmt: skip
    assert world.line.fields["differing_ids"] == [f"conflicting:events:{UUID(int=0)}"]
    assert world.line.fields["differing_hours"] == [START.isoformat()]
    assert ids_in(world.store.asked[1][1]) == [str(UUID(int=0))]  # settled, as far as this store can
