"""Checks hours of acceptance through the ports: reads the archive object by object, asks ClickHouse by id.

Which hours are checked by schedule, and what is done with what is found, `integrity_job` says.

Memory: the ids of one hour (16 bytes each, some 100 as a set's members), one object, one chunk of rows.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from event_analytics.archive_reading import ArchivedBatch, read_archive
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
    StoredRow,
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
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC

_HOUR: Final = timedelta(hours=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)

Settle = Callable[[Sequence[UUID]], int]


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
    erased = ErasureIndex().read(objects)
    check = WindowCheck(store, objects, Report(start, end), erased, listed_max=listed_max, event_floor=event_floor)
    check.go_on(is_over=lambda: False)
    return check.report


class WindowCheck:
    """The comparison of one window, which can be left and gone on with; it holds what it has seen in between.

    `report`: what it has found so far, all of it once `go_on` has said so. `settled`: how many ids `settle` settled of
    those in conflict, which it is called with as they are found.
    """

    def __init__(
        self,
        store: EventStore,
        objects: ObjectStore,
        report: Report,
        erased: Erased,
        *,
        listed_max: int = LISTED_MAX,
        event_floor: datetime | None = None,
        settle: Settle | None = None,
    ) -> None:
        self.store = store
        self.objects = objects
        self.report = report
        self.erased = erased
        self.listed_max = listed_max
        self.floor_ms = (event_floor - _UNIX) // _MILLISECOND if event_floor else 0
        self.settled = 0
        self._settle = settle
        self._steps = self._compare()

    def go_on(self, is_over: Callable[[], bool]) -> bool:
        """Whether all of the window is compared by now; `is_over` is asked after each chunk, so each call gets on.

        Raises:
            StoreUnavailable, Refused, and what the object store raises: the comparison has to begin anew.
        """
        return not any(is_over() for _ in self._steps)

    def settle(self, ids: Sequence[UUID]) -> None:
        """Settle ids in conflict, if that was asked for."""
        if ids and self._settle is not None:
            self.settled += self._settle(ids)

    def _compare(self) -> Iterator[None]:
        for start, end in _hours_of(self.report.start, self.report.end):
            yield from _EventsCheck(self).run(start, end)
            yield from _ChangesCheck(self).run(start, end)


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
    """One hour's creates against `events`. Steps: a chunk that is compared each."""

    def __init__(self, check: WindowCheck) -> None:
        self._check = check
        self._report = check.report
        self._archived: set[bytes] = set()
        self._odd: set[bytes] = set()  # ids that were judged as differing or resolved: once is enough

    def run(self, start: datetime, end: datetime) -> Iterator[None]:
        for archived in _records_of(self._check.objects, EVENTS_TOPIC, start, end, self._report):
            creates = self._expected(archived)
            for first in range(0, len(creates), FOLD_IDS_MAX):
                self._compare(creates[first : first + FOLD_IDS_MAX])
                yield
        yield from self._find_extra(_span_of(start, end))

    def _expected(self, archived: list[KafkaRecord]) -> list[ArchivedCreate]:
        hits, records = _part_erased(archived, self._check.erased, self._report)
        self._archived.update(hit.created_id.bytes for hit in hits if hit.created_id)  # their rows may be there still
        creates = [create for record in records if (create := read_create(record)) is not None]
        self._report.undecodable += len(records) - len(creates)
        self._report.archived_events += len(creates)
        expired = [create for create in creates if create.fields.timestamp_ms < self._check.floor_ms]
        self._archived.update(create.id.bytes for create in expired)
        return [create for create in creates if create.fields.timestamp_ms >= self._check.floor_ms]

    def _compare(self, creates: Sequence[ArchivedCreate]) -> None:
        statement = compile_rows(list({create.id for create in creates}))
        rows = group_rows(self._check.store.select(statement.sql, statement.parameters))
        conflicting = []
        for identifier, group in groupby(sorted(creates), key=lambda create: create.id):
            same = list(group)
            self._report.duplicates += len(same) - (identifier.bytes not in self._archived)
            self._archived.add(identifier.bytes)
            if self._judge(identifier, same, rows.get(identifier, [])) is Kind.CONFLICTING:
                conflicting.append(identifier)
        self._check.settle(conflicting)

    def _judge(self, identifier: UUID, creates: list[ArchivedCreate], stored: list[StoredRow]) -> Kind | None:
        """What is wrong with an id that was not judged before."""
        kind, has_other_key = judge(creates, stored)
        if identifier.bytes in self._odd or not (kind or has_other_key):
            return None
        self._odd.add(identifier.bytes)
        if kind is None:
            self._report.resolved += 1
            return None
        archived = describe(create.fields for create in creates)
        live = describe(row.fields for row in stored if not row.is_deleted)
        self._report.add(Difference(kind, EVENTS_TOPIC, identifier, archived, live), self._check.listed_max)
        return kind

    def _find_extra(self, span: Span) -> Iterator[None]:
        for rows in _parts_within(self._check.store, span, is_changes=False):
            for row in rows:
                identifier = UUID(row["id"])
                if identifier.bytes not in self._archived and not _is_going(identifier, self._check):
                    self._report.add(Difference(Kind.EXTRA, EVENTS_TOPIC, identifier), self._check.listed_max)
            yield


class _ChangesCheck:
    """One hour's changes against their log, `event_changes`. Steps: as above."""

    def __init__(self, check: WindowCheck) -> None:
        self._check = check
        self._report = check.report
        self._archived: set[bytes] = set()

    def run(self, start: datetime, end: datetime) -> Iterator[None]:
        for archived in _records_of(self._check.objects, EVENT_CHANGES_TOPIC, start, end, self._report):
            _, records = _part_erased(archived, self._check.erased, self._report)
            changes = [change for record in records if (change := read_change(record)) is not None]
            self._report.undecodable += len(records) - len(changes)
            self._report.archived_changes += len(changes)
            for first in range(0, len(changes), FOLD_IDS_MAX):
                self._compare(changes[first : first + FOLD_IDS_MAX])
                yield
        span = _span_of(start, end)
        yield from self._find_extra(Span(span.start_us + CHANGE_VERSION_MARGIN_US, span.end_us))

    def _compare(self, changes: Sequence[ArchivedChange]) -> None:
        statement = compile_changes(list({change.id for change in changes}))
        logged = {row["change_id"] for row in self._check.store.select(statement.sql, statement.parameters)}
        for change in changes:
            if change.change_id.bytes in self._archived:
                continue
            self._archived.add(change.change_id.bytes)
            if str(change.change_id) not in logged:
                self._report_change(Kind.MISSING, change.id, archived=f"change_id={change.change_id}")

    def _find_extra(self, span: Span) -> Iterator[None]:
        for rows in _parts_within(self._check.store, span, is_changes=True):
            for row in rows:
                identifier = UUID(row["id"])
                is_archived = UUID(row["change_id"]).bytes in self._archived
                if not is_archived and not _is_going(identifier, self._check):
                    self._report_change(Kind.EXTRA, identifier, stored=f"change_id={row['change_id']}")
            yield

    def _report_change(self, kind: Kind, identifier: UUID, archived: str = "", stored: str = "") -> None:
        difference = Difference(kind, EVENT_CHANGES_TOPIC, identifier, archived, stored)
        self._report.add(difference, self._check.listed_max)


def _part_erased(records: list[KafkaRecord], erased: Erased, report: Report) -> tuple[list[Hit], list[KafkaRecord]]:
    """What erasures take of records, and the records that stay."""
    found = [(record, erased.find(record)) for record in records]
    hits = [hit for _, hit in found if hit is not None]
    report.erased += len(hits)
    return hits, [record for record, hit in found if hit is None]


def _is_going(identifier: UUID, check: WindowCheck) -> bool:
    """Whether a row that no archived record explains is one of an erased event, which a deletion is about to reach."""
    is_going = check.erased.has_id(identifier)
    check.report.erased += is_going
    return is_going


def _parts_within(store: EventStore, span: Span, *, is_changes: bool) -> Iterator[list[dict[str, Any]]]:
    """The ids that ClickHouse has of a span, in parts that fit in memory."""
    if span.start_us >= span.end_us:
        return
    count = compile_count(span, is_changes=is_changes)
    parts = parts_of(int(store.select(count.sql, count.parameters)[0]["number"]))
    for part in range(parts):
        statement = compile_part(span, part, parts, is_changes=is_changes)
        yield store.select(statement.sql, statement.parameters)
