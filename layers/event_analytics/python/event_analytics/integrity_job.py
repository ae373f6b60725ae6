"""The scheduled integrity check: hour after hour from where the last run ended, for as long as a run may take.

An hour is checked once it is over for a while, and again when the archive has got more of it since. What is in conflict
is settled as it is found. An hour for which one run does not suffice goes on in the next one of the same process, which
holds what it has seen; a process that ends takes that with it, and the next begins the hour anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from event_analytics.conflict_settling import settle_ids
from event_analytics.erasure import Erased
from event_analytics.erasure_index import ErasureIndex
from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.integrity import LISTED_MAX, Report
from event_analytics.integrity_cursor import (
    LATE_HOURS,
    Cursor,
    count_objects,
    first_cursor,
    keep_cursor,
    next_hour,
    read_cursor,
    with_checked,
    with_late,
)
from event_analytics.integrity_run import WindowCheck
from event_analytics.ports import ErasableStore, EventStore
from event_analytics.retention import floor_of

# What spool and consumers still had of an hour at its end has mostly arrived by then; what has not makes it due again.
SETTLE_SECONDS: Final = 900


class Line(Protocol):
    """The invocation's log line, as a job sees it."""

    def note(self, **fields: object) -> None:
        """Add fields."""

    def count(self, **counts: float) -> None:
        """Add counts, which become metrics."""


@dataclass(frozen=True)
class Sides:
    """What is compared. `erasures`: what of it is about to go. `event_retention_days`: 0 for ever."""

    store: EventStore
    objects: ErasableStore
    erasures: ErasureIndex
    event_retention_days: int = 0


class _Begun(NamedTuple):
    """An hour whose check has begun, and how many objects it had then."""

    hour: int
    objects: int
    check: WindowCheck


class Verifier:
    """Runs the job. One object lives as long as its process and holds the hour that is begun and not done."""

    def __init__(self) -> None:
        self._begun: _Begun | None = None

    def run(self, sides: Sides, line: Line, now: float, is_over: Callable[[], bool]) -> list[Report]:
        """Check the hours that are due until `is_over`, and count what differs; the reports of those that are done.

        `now`: Unix seconds. `is_over` is asked after each step, so every run gets on.

        Raises:
            StoreUnavailable, Refused, and what the object store raises: the hour in hand is begun anew by the next run.
        """
        end = int(now - SETTLE_SECONDS) // HOUR_SECONDS * HOUR_SECONDS
        cursor = _look_for_late(sides.objects, end)
        reports: list[Report] = []
        try:
            while (hour := next_hour(cursor, end, self._begun.hour if self._begun else None)) is not None:
                done = self._go_on(hour, sides, line, now, is_over)
                if done is None:
                    break
                cursor = with_checked(cursor, hour, done.objects)
                keep_cursor(sides.objects, cursor)
                reports.append(done.check.report)
                if is_over():
                    break
        finally:  # what is kept as checked is not looked at again, so it is counted whatever becomes of the next hour
            line.count(unverified_seconds=max(0.0, now - cursor.checked_until))
            _count(line, reports)
        return reports

    def _go_on(self, hour: int, sides: Sides, line: Line, now: float, is_over: Callable[[], bool]) -> _Begun | None:
        """The hour once it is done; None if the next run has to see to it."""
        begun, self._begun = self._begun, None  # whatever is raised: the comparison cannot be gone on with
        erased = sides.erasures.read(sides.objects)  # the same object each time, with what was erased since
        if begun is None or begun.hour != hour:
            begun = _begin(hour, sides, erased, now)
        settled_before = begun.check.settled
        is_done = begun.check.go_on(is_over)
        line.count(settled_conflicts=begun.check.settled - settled_before)
        if not is_done:
            self._begun = begun
            return None
        # Objects that came meanwhile may lie before where it read, and what they hold seems extra: begin anew.
        return begun if _objects_of(sides.objects, hour) <= begun.objects else None


def _look_for_late(objects: ErasableStore, end: int) -> Cursor:
    """The cursor, with hours due again that got more objects: they are listed once for each hour that passes."""
    before = read_cursor(objects)
    if before is not None and before.looked_until >= end:
        return before
    start = end - LATE_HOURS * HOUR_SECONDS
    counts = count_objects(objects, start, end if before is None else min(end, before.checked_until))
    cursor = first_cursor(end, counts) if before is None else with_late(before, end, counts)
    keep_cursor(objects, cursor)
    return cursor


def _begin(hour: int, sides: Sides, erased: Erased, now: float) -> _Begun:
    def settle(ids: Sequence[UUID]) -> int:
        return settle_ids(sides.store, ids)

    report = Report(datetime.fromtimestamp(hour, UTC), datetime.fromtimestamp(hour + HOUR_SECONDS, UTC))
    floor = floor_of(datetime.fromtimestamp(now, UTC), sides.event_retention_days)
    number = _objects_of(sides.objects, hour)
    check = WindowCheck(sides.store, sides.objects, report, erased, event_floor=floor, settle=settle)
    return _Begun(hour, number, check)


def _objects_of(objects: ErasableStore, hour: int) -> int:
    return count_objects(objects, hour, hour + HOUR_SECONDS)[hour]


def _count(line: Line, reports: Sequence[Report]) -> None:
    for report in reports:
        line.count(
            verified_hours=1,
            missing_events=report.missing,
            extra_events=report.extra,
            conflicting_events=report.conflicting,
            duplicate_events=report.duplicates,
            unreadable_objects=len(report.unreadable),
        )
    differing = [report for report in reports if not report.is_clean]
    if differing:
        listed = [each for report in differing for each in report.listed][:LISTED_MAX]
        line.note(
            differing_hours=[report.start.isoformat() for report in differing],
            differing_ids=[f"{each.kind.value}:{each.topic}:{each.id}" for each in listed],
        )
