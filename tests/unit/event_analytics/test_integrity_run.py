"""The check over fakes: what it reads of the archive, what it asks, and what its job reports."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from event_analytics.integrity import Kind, Report
from event_analytics.integrity_run import check_window, run_verify
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from tests.builders import ACCEPTED_MS, a_record, ids_in
from tests.fakes import FakeEventStore, FakeObjectStore
from tests.unit.event_analytics.replay_archive import archive_of

HOUR_MS = 3_600_000
START_MS = ACCEPTED_MS // HOUR_MS * HOUR_MS
START = datetime.fromtimestamp(START_MS / 1_000, tz=UTC)
HOUR = timedelta(hours=1)


def an_archived_event(offset: int, at_ms: int, **fields: Any) -> KafkaRecord:
    event = {
        "accepted_us": at_ms * 1_000, "id": str(UUID(int=offset)), "user_id": "u1", "conversation_id": "c1",
        "event_name": "e", "timestamp": "2026-09-21T14:13:20Z", **fields,
    }  # fmt: skip
    return a_record(offset, timestamp_ms=at_ms, value=json.dumps(event).encode())


def an_archived_change(offset: int, at_ms: int) -> KafkaRecord:
    change = {"change_id": str(UUID(int=1_000 + offset)), "id": str(UUID(int=offset)), "version": at_ms * 1_000}
    return a_record(offset, topic="event-changes", timestamp_ms=at_ms, value=json.dumps(change).encode())


class StoreOf(FakeEventStore):
    """Answers the check's questions from the rows it was given, as ClickHouse does."""

    def __init__(self, events: list[KafkaRecord], changes: list[KafkaRecord]) -> None:
        super().__init__()
        self.events = [json.loads(record.value or b"") for record in events]
        self.changes = [json.loads(record.value or b"") for record in changes]

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        is_changes = "FROM event_changes" in sql
        moment = "version" if is_changes else "accepted_us"
        rows = self.changes if is_changes else self.events
        self.asked.append((sql, parameters))
        if "ids" in parameters:
            found = [row for row in rows if row["id"] in ids_in(parameters)]
            return found if is_changes else [_as_stored(row) for row in found] if "is_deleted" in sql else []
        within = [row for row in rows if parameters["start_us"] <= row[moment] < parameters["end_us"]]
        return [{"number": len(within)}] if "number" in sql else within


def _as_stored(row: dict[str, Any]) -> dict[str, Any]:
    at_ms = round(datetime.fromisoformat(row["timestamp"]).timestamp() * 1_000)
    return {**row, "timestamp_ms": at_ms, "version": 1, "is_deleted": 0}


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


def test_an_id_under_two_keys_is_in_conflict_once_and_settled_by_the_job() -> None:
    events = [
        an_archived_event(0, START_MS),
        an_archived_event(1, START_MS + 1, id=str(UUID(int=0)), timestamp="2026-09-21T18:00:00Z"),
    ]
    store, line = StoreOf(events, []), InvocationLine()

    report = run_verify(store, archive_of(events), line, START.timestamp() + 3_600 + 59)

    assert (report.start, report.end) == (START, START + HOUR)
    assert line.counts == {
        "missing_events": 0, "extra_events": 0, "conflicting_events": 1, "settled_conflicts": 0,
        "unreadable_objects": 0, "duplicate_events": 1,
    }  # fmt: skip
    assert line.fields["differing_ids"] == [f"conflicting:events:{UUID(int=0)}"]
    assert ids_in(store.asked[-1][1]) == [str(UUID(int=0))]  # settled, as far as this store can


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
