"""The check over fakes: what it reads of the archive, what it asks, and what it reports."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from event_analytics.erasure import Erased
from event_analytics.integrity import LISTED_MAX, Kind, Report
from event_analytics.integrity_run import WindowCheck, check_window
from event_analytics.kafka_batch import KafkaRecord
from tests.builders import a_record
from tests.fakes import FakeEventStore, FakeObjectStore
from tests.unit.event_analytics.both_sides import (
    HOUR,
    HOUR_MS,
    START,
    START_MS,
    StoreOf,
    an_archived_change,
    an_archived_event,
)
from tests.unit.event_analytics.replay_archive import archive_of


def check(archived: list[KafkaRecord], store: FakeEventStore, end: datetime = START + HOUR) -> Report:
    changes = [record for record in archived if record.topic == "event-changes"]
    return check_window(store, archive_of([each for each in archived if each not in changes], changes), START, end)


def test_what_both_sides_hold_is_clean_hour_by_hour() -> None:
    events = [an_archived_event(number, START_MS + number * HOUR_MS // 4) for number in range(10)]
    changes = [an_archived_change(number, START_MS + 60_000 + number * HOUR_MS // 4) for number in range(10)]

    report = check(events + changes, StoreOf(events, changes), START + 3 * HOUR)

    assert report.is_clean
    assert (report.archived_events, report.archived_changes) == (10, 10)


def test_missing_and_extra_are_told_apart_on_both_topics() -> None:
    events = [an_archived_event(number, START_MS + 1_000 + number) for number in range(4)]
    changes = [an_archived_change(number, START_MS + 1_000 + number) for number in range(4)]

    report = check(events[:3] + changes[:3], StoreOf(events[1:], changes[1:]))

    assert {(each.kind, each.topic, each.id.int) for each in report.listed} == {
        (Kind.MISSING, "events", 0), (Kind.EXTRA, "events", 3),
        (Kind.MISSING, "event-changes", 0), (Kind.EXTRA, "event-changes", 3),
    }  # fmt: skip
    assert (report.missing, report.extra, report.conflicting) == (2, 2, 0)


def test_both_ends_of_the_window_are_exact() -> None:
    inside = [an_archived_event(0, START_MS), an_archived_event(1, START_MS + HOUR_MS - 1)]
    outside = [an_archived_event(2, START_MS - 1), an_archived_event(3, START_MS + HOUR_MS)]

    report = check(inside + outside, StoreOf(inside, []))

    assert report.is_clean
    assert report.archived_events == 2


def test_a_record_that_holds_no_event_is_not_expected() -> None:
    report = check([a_record(0, timestamp_ms=START_MS, value=b"junk")], StoreOf([], []))

    assert (report.is_clean, report.undecodable) == (True, 1)


def test_a_damaged_object_is_named() -> None:
    events = [an_archived_event(0, START_MS)]
    archive: FakeObjectStore = archive_of(events)
    (name,) = archive.objects
    archive.objects[name] = archive.objects[name][:-9]

    report = check_window(StoreOf([], []), archive, START, START + HOUR)

    assert (report.is_clean, report.unreadable) == (False, [name])


def test_an_event_that_is_not_kept_any_more_is_neither_missing_nor_extra() -> None:
    removed, left_there, kept = (
        an_archived_event(1, START_MS, timestamp="2026-01-05T00:00:00Z"),
        an_archived_event(2, START_MS, timestamp="2026-01-05T00:00:00Z"),
        an_archived_event(3, START_MS),
    )
    objects = archive_of([removed, left_there, kept], [])
    floor = datetime(2026, 1, 12, tzinfo=UTC)

    report = check_window(StoreOf([left_there], []), objects, START, START + HOUR, event_floor=floor)

    assert (report.missing, report.extra) == (1, 0)
    assert report.ids(Kind.MISSING) == [UUID(int=3)]


def test_conflicts_are_settled_as_they_are_found_and_not_only_those_that_are_listed() -> None:
    number = 2 * LISTED_MAX
    events = [
        an_archived_event(2 * each + second, START_MS + each, id=str(UUID(int=each)), conversation_id=f"c{second}")
        for each in range(number)
        for second in range(2)
    ]
    settled: list[Sequence[UUID]] = []

    def settle(ids: Sequence[UUID]) -> int:
        settled.append(ids)
        return len(ids)

    report = Report(START, START + HOUR)
    check = WindowCheck(StoreOf(events, []), archive_of(events[:200], events[200:]), report, Erased(), settle=settle)
    is_done = check.go_on(is_over=lambda: False)

    assert (is_done, check.report.conflicting, check.settled) == (True, number, number)
    assert [len(ids) for ids in settled] == [100, 100]
    assert sorted(identifier.int for ids in settled for identifier in ids) == list(range(number))
