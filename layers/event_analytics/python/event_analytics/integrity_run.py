"""Checks hours of acceptance through the ports: reads the archive object by object, asks ClickHouse by id.

Memory: the ids of one hour (16 bytes each, some 100 as a set's members), one object, one chunk of rows.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Protocol
from uuid import UUID

from event_analytics.archive_reading import ArchivedBatch, read_archive
from event_analytics.conflict_settling import settle_ids
from event_analytics.erasure import Erased, Hit
from event_analytics.erasure_index import ErasureIndex
from event_analytics.fold import FOLD_IDS_MAX
from event_analytics.integrity import (
    CHANGE_VERSION_MARGIN_US,
    LISTED_MAX,
    ArchivedChange,
    ArchivedCreate,
    Difference,
    Kind,
    Report,
    Span,
    compile_changes,
    compile_count,
    compile_part,
    compile_rows,
    describe,
    group_rows,
    judge,
    parts_of,
    read_change,
    read_create,
)
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import EventStore, ObjectStore
from event_analytics.replay import Pass
from event_analytics.replay_state import Position
from event_analytics.retention import floor_of
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC

_HOUR: Final = timedelta(hours=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Line(Protocol):
    """The invocation's log line, as a job sees it."""

    def note(self, **fields: object) -> None:
        """Add fields."""

    def count(self, **counts: float) -> None:
        """Add counts, which become metrics."""


def run_verify(
    store: EventStore, objects: ObjectStore, line: Line, now: float, event_retention_days: int = 0
) -> Report:
    """The job: check the previous full hour of acceptance, count what differs, settle up to 10,000 ids in conflict.

    `now`: Unix seconds. The hour must have been loaded and archived: run it minutes after the hour's end. A record that
    is still under way then is counted as missing or extra.
    """
    end = datetime.fromtimestamp(now // 3_600 * 3_600, tz=UTC)
    floor = floor_of(end, event_retention_days)
    report = check_window(store, objects, end - _HOUR, end, FOLD_IDS_MAX, event_floor=floor)
    settled = settle_ids(store, report.ids(Kind.CONFLICTING))
    line.count(
        missing_events=report.missing,
        extra_events=report.extra,
        conflicting_events=report.conflicting,
        settled_conflicts=settled,
        duplicate_events=report.duplicates,
        unreadable_objects=len(report.unreadable),
    )
    if not report.is_clean:
        line.note(
            verified_hour=report.start.isoformat(),
            differing_ids=[f"{each.kind.value}:{each.topic}:{each.id}" for each in report.listed[:LISTED_MAX]],
        )
    return report


def check_window(
    store: EventStore,
    objects: ObjectStore,
    start: datetime,
    end: datetime,
    listed_max: int = LISTED_MAX,
    *,
    event_floor: datetime | None = None,
) -> Report:
    """What differs of all that was accepted from `start` until before `end`, whole milliseconds.

    `event_floor`: events of an earlier time may be gone, and may not.

    Raises:
        StoreUnavailable, Refused, and what the object store raises: nothing is known then.
    """
    report = Report(start, end)
    erased = ErasureIndex().read(objects)
    for hour_start, hour_end in _hours_of(start, end):
        _EventsCheck(store, report, listed_max, erased, event_floor).run(objects, hour_start, hour_end)
        _ChangesCheck(store, report, listed_max, erased).run(objects, hour_start, hour_end)
    return report


def _hours_of(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        following = min(end, start.replace(minute=0, second=0, microsecond=0) + _HOUR)
        yield start, following
        start = following


def _records_of(
    objects: ObjectStore, topic: str, start: datetime, end: datetime, report: Report
) -> Iterator[list[KafkaRecord]]:
    """The archived records of a part of an hour, object by object."""
    one_pass = Pass(topic, (start - _UNIX) // _MILLISECOND, (end - _UNIX) // _MILLISECOND)
    batches: Iterator[ArchivedBatch] = read_archive(objects, one_pass, Position())
    for batch in batches:
        if not batch.is_readable:
            report.unreadable.append(batch.archived.name)
        yield [record for record in batch.records if one_pass.has(record.timestamp_ms)]


def _span_of(start: datetime, end: datetime) -> Span:
    return Span((start - _UNIX) // _MILLISECOND * 1_000, (end - _UNIX) // _MILLISECOND * 1_000)


class _EventsCheck:
    """One hour's creates against `events`."""

    def __init__(
        self, store: EventStore, report: Report, listed_max: int, erased: Erased, floor: datetime | None
    ) -> None:
        self._floor_ms = (floor - _UNIX) // _MILLISECOND if floor else 0
        self._store = store
        self._report = report
        self._listed_max = listed_max
        self._erased = erased
        self._archived: set[bytes] = set()
        self._odd: set[bytes] = set()  # ids that were judged as differing or resolved: once is enough

    def run(self, objects: ObjectStore, start: datetime, end: datetime) -> None:
        for archived in _records_of(objects, EVENTS_TOPIC, start, end, self._report):
            hits, records = _part_erased(archived, self._erased, self._report)
            self._archived.update(
                hit.created_id.bytes for hit in hits if hit.created_id
            )  # their rows may be there still
            creates = [create for record in records if (create := read_create(record)) is not None]
            self._report.undecodable += len(records) - len(creates)
            self._report.archived_events += len(creates)
            expired = [create for create in creates if create.fields.timestamp_ms < self._floor_ms]
            self._archived.update(create.id.bytes for create in expired)
            creates = [create for create in creates if create.fields.timestamp_ms >= self._floor_ms]
            for first in range(0, len(creates), FOLD_IDS_MAX):
                self._compare(creates[first : first + FOLD_IDS_MAX])
        self._find_extra(_span_of(start, end))

    def _compare(self, creates: Sequence[ArchivedCreate]) -> None:
        statement = compile_rows(list({create.id for create in creates}))
        rows = group_rows(self._store.select(statement.sql, statement.parameters))
        for identifier, group in groupby(sorted(creates), key=lambda create: create.id):
            same = list(group)
            self._report.duplicates += len(same) - (identifier.bytes not in self._archived)
            self._archived.add(identifier.bytes)
            self._judge(identifier, same, rows)

    def _judge(self, identifier: UUID, creates: list[ArchivedCreate], rows: dict) -> None:  # type: ignore[type-arg]
        stored = rows.get(identifier, [])
        kind, has_other_key = judge(creates, stored)
        if identifier.bytes in self._odd or not (kind or has_other_key):
            return
        self._odd.add(identifier.bytes)
        if kind is None:
            self._report.resolved += 1
            return
        archived = describe(create.fields for create in creates)
        live = describe(row.fields for row in stored if not row.is_deleted)
        self._report.add(Difference(kind, EVENTS_TOPIC, identifier, archived, live), self._listed_max)

    def _find_extra(self, span: Span) -> None:
        for row in _rows_within(self._store, span, is_changes=False):
            identifier = UUID(row["id"])
            if identifier.bytes not in self._archived and not _is_going(identifier, self._erased, self._report):
                self._report.add(Difference(Kind.EXTRA, EVENTS_TOPIC, identifier), self._listed_max)


class _ChangesCheck:
    """One hour's changes against their log, `event_changes`."""

    def __init__(self, store: EventStore, report: Report, listed_max: int, erased: Erased) -> None:
        self._store = store
        self._report = report
        self._listed_max = listed_max
        self._erased = erased
        self._archived: set[bytes] = set()

    def run(self, objects: ObjectStore, start: datetime, end: datetime) -> None:
        for archived in _records_of(objects, EVENT_CHANGES_TOPIC, start, end, self._report):
            _, records = _part_erased(archived, self._erased, self._report)
            changes = [change for record in records if (change := read_change(record)) is not None]
            self._report.undecodable += len(records) - len(changes)
            self._report.archived_changes += len(changes)
            for first in range(0, len(changes), FOLD_IDS_MAX):
                self._compare(changes[first : first + FOLD_IDS_MAX])
        span = _span_of(start, end)
        self._find_extra(Span(span.start_us + CHANGE_VERSION_MARGIN_US, span.end_us))

    def _compare(self, changes: Sequence[ArchivedChange]) -> None:
        statement = compile_changes(list({change.id for change in changes}))
        logged = {row["change_id"] for row in self._store.select(statement.sql, statement.parameters)}
        for change in changes:
            if change.change_id.bytes in self._archived:
                continue
            self._archived.add(change.change_id.bytes)
            if str(change.change_id) not in logged:
                difference = Difference(Kind.MISSING, EVENT_CHANGES_TOPIC, change.id, f"change_id={change.change_id}")
                self._report.add(difference, self._listed_max)

    def _find_extra(self, span: Span) -> None:
        for row in _rows_within(self._store, span, is_changes=True):
            identifier = UUID(row["id"])
            is_archived = UUID(row["change_id"]).bytes in self._archived
            if not is_archived and not _is_going(identifier, self._erased, self._report):
                stored = f"change_id={row['change_id']}"
                difference = Difference(Kind.EXTRA, EVENT_CHANGES_TOPIC, identifier, "", stored)
                self._report.add(difference, self._listed_max)


def _part_erased(records: list[KafkaRecord], erased: Erased, report: Report) -> tuple[list[Hit], list[KafkaRecord]]:
    """What erasures take of records, and the records that stay."""
    found = [(record, erased.find(record)) for record in records]
    hits = [hit for _, hit in found if hit is not None]
    report.erased += len(hits)
    return hits, [record for record, hit in found if hit is None]


def _is_going(identifier: UUID, erased: Erased, report: Report) -> bool:
    """Whether a row that no archived record explains is one of an erased event, which a deletion is about to reach."""
    is_going = erased.has_id(identifier)
    report.erased += is_going
    return is_going


def _rows_within(store: EventStore, span: Span, *, is_changes: bool) -> Iterator[dict[str, str]]:
    """The ids that ClickHouse has of a span, in parts that fit in memory."""
    if span.start_us >= span.end_us:
        return
    count = compile_count(span, is_changes=is_changes)
    parts = parts_of(int(store.select(count.sql, count.parameters)[0]["number"]))
    for part in range(parts):
        statement = compile_part(span, part, parts, is_changes=is_changes)
        yield from store.select(statement.sql, statement.parameters)
