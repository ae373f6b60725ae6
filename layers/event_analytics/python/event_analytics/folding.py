"""Runs folds through a store: right after changes were inserted, and again for whatever was left pending.

The order is what makes it safe: changes are in, the fold runs, and then whatever no row shows to be folded is noted as
pending. A create that lands while a fold reads is not in the row that the log asks for, so its id is noted and the next
pass folds it. Until the notes are made nothing is acknowledged: a batch that dies in between comes again.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.clickhouse_codes import name_of_code
from event_analytics.errors import StoreOverburdened, StoreRejected, StoreUnavailable
from event_analytics.fold import (
    ALL_TIME,
    FOLD_IDS_MAX,
    FoldPlan,
    Statement,
    TimeRange,
    compile_check,
    compile_folds,
    compile_marks,
    compile_plan,
    hint_of,
    plan_of,
)
from event_analytics.fold_weight import WORK_BYTES_MIN, compile_work, work_of
from event_analytics.hour_marks import mark_hours
from event_analytics.identifiers import timestamp_ms_of
from event_analytics.isolation import isolate
from event_analytics.pending_notes import NotedPage, compile_notes, compile_pages, compile_ready
from event_analytics.ports import EventStore

_NOTED_IDS_AT_ONCE: Final = 100_000  # of one look for rows: 0.3 s among a million events, two cores
_SMALLEST_ID: Final = UUID(int=0)
_MINUTE_SECONDS: Final = 60
# Each minute begins so far, of all pages, behind where the last one did: no multiple of it comes back to a place that
# was begun at before, so that wherever a pass has to stop, others soon begin there.
_GOLDEN_RATIO: Final = 0.6180339887
_ID_OF_NO_EVENT: Final = UUID("0f9d1e5c-6a0b-4c61-9f0e-6d0a4f1c2b37")  # random: to see whether folds work at all

RefusedFold = tuple[UUID, StoreRejected]


class FoldOutcome(NamedTuple):
    """What became of some ids.

    `unfolded`: those that still have unfolded changes. `refused`: those of them whose row ClickHouse cannot make, for
    what its changes or its event hold.
    """

    unfolded: list[UUID]
    refused: list[RefusedFold]


class PassReport(NamedTuple):
    """What one pass over the pending ids did. `looked_at`: ids, most of which have no event yet."""

    looked_at: int
    folded: int
    refused: list[RefusedFold]


def fold_changes(store: EventStore, ids: Sequence[UUID]) -> list[RefusedFold]:
    """Fold the changes of ids, which are in the store already; what cannot be folded yet is noted as pending.

    Returns the ids whose folds are refused; they are noted too.

    Raises:
        StoreUnavailable: some of it may have happened; all of it must happen again, for not all may be noted.
    """
    refused = []
    for start in range(0, len(ids), FOLD_IDS_MAX):
        outcome = fold_once(store, ids[start : start + FOLD_IDS_MAX])
        refused += outcome.refused
        if outcome.unfolded:
            _run(store, [compile_notes(outcome.unfolded)])
    return refused


def fold_once(store: EventStore, ids: Sequence[UUID]) -> FoldOutcome:
    """Fold up to FOLD_IDS_MAX ids and mark the hours of their rows."""
    timed = [identifier for identifier in ids if timestamp_ms_of(identifier) is not None]
    hint = hint_of(timed)
    first = FoldOutcome([], []) if hint is None else _fold_within(store, timed, hint)
    if hint is not None and len(timed) == len(ids) and not (first.unfolded or first.refused):
        return first
    left = set(ids) - set(timed) if hint is not None else set(ids)
    left |= set(first.unfolded) - {identifier for identifier, _ in first.refused}
    rest = [identifier for identifier in ids if identifier in left]
    second = _fold_within(store, rest, ALL_TIME) if rest else FoldOutcome([], [])
    refused = first.refused + second.refused
    return FoldOutcome(list(dict.fromkeys([*second.unfolded, *(identifier for identifier, _ in refused)])), refused)


def fold_pending(store: EventStore, now_s: float, may_go_on: Callable[[], bool]) -> PassReport:
    """Fold what is pending and has its event by now, as long as `may_go_on`; the rest waits. `now_s`: Unix seconds."""
    report = PassReport(0, 0, [])
    for page in _pages_of(store, now_s):
        ready = compile_ready(page)
        ids = [UUID(row["id"]) for row in store.select(ready.sql, ready.parameters)]
        report = report._replace(looked_at=report.looked_at + page.ids)
        for start in range(0, len(ids), FOLD_IDS_MAX):
            report = _fold_noted(store, ids[start : start + FOLD_IDS_MAX], report)
            if not may_go_on():
                return report
        if not may_go_on():
            return report
    return report


def _fold_noted(store: EventStore, ids: Sequence[UUID], report: PassReport) -> PassReport:
    """Fold ids, mark what is folded; the report with what it adds."""
    outcome = fold_once(store, ids)
    unfolded = set(outcome.unfolded)
    folded = [identifier for identifier in ids if identifier not in unfolded]
    if folded:
        _run(store, [compile_marks(folded, ALL_TIME)])
    return report._replace(folded=report.folded + len(folded), refused=report.refused + outcome.refused)


def _pages_of(store: EventStore, now_s: float) -> list[NotedPage]:
    """All pages of the ids that wait, each once, beginning elsewhere in every minute."""
    asked = compile_pages(_NOTED_IDS_AT_ONCE)
    pages: list[NotedPage] = []
    for row in store.select(asked.sql, asked.parameters):
        pages.append(NotedPage(pages[-1].last if pages else _SMALLEST_ID, UUID(row["last"]), int(row["ids"])))
    first = int(now_s // _MINUTE_SECONDS * _GOLDEN_RATIO % 1 * len(pages))
    return pages[first:] + pages[:first]


def _fold_within(store: EventStore, ids: Sequence[UUID], where: TimeRange) -> FoldOutcome:
    refused, version_min = _fold_isolated(store, ids, where)
    check = compile_check(ids, where, version_min)
    checked = store.select(check.sql, check.parameters)
    # A pass that dies before the hours are marked comes again: nothing is noted as folded before.
    mark_hours(store, [hour for row in checked for hour in row["hours"]])
    return FoldOutcome([UUID(identifier) for row in checked for identifier in row["unfolded"]], refused)


def _fold_isolated(store: EventStore, ids: Sequence[UUID], where: TimeRange) -> tuple[list[RefusedFold], int]:
    """The ids whose folds are refused, and the lowest version that any row of the ids has once it is folded."""
    is_well = False
    version_mins: list[int] = []

    def fold(part: Sequence[UUID]) -> None:
        nonlocal is_well
        asked = compile_plan(part)
        try:
            plan = plan_of(store.select(asked.sql, asked.parameters), part)
            version_mins.append(plan.version_min)
            _run(store, compile_folds(plan, where))
        except StoreOverburdened as error:
            raise _rejection_of(store, part, error) from error
        except StoreRejected as error:
            if not (error.is_known or is_well):
                _check_that_folds_run(store)
                is_well = True
            raise

    refused = isolate(ids, fold, math.inf)
    return refused, min(version_mins, default=0)


def _rejection_of(store: EventStore, part: Sequence[UUID], error: StoreOverburdened) -> StoreRejected:
    """The refusal by which ids that are too heavy together are halved, and one that is too heavy alone is given up.

    Raises:
        StoreOverburdened: an id alone is light, so the store is at fault.
    """
    detail = f"too heavy for one statement: {error}"
    if len(part) == 1:
        asked, parameters = compile_work(part[0])
        work_bytes = sum(work_of(row) for row in store.select(asked, parameters))
        if work_bytes < WORK_BYTES_MIN:
            raise error
        detail = f"up to {work_bytes:,} bytes of JSON to merge: {error}"
    return StoreRejected(error.code, name_of_code(error.code), detail, is_known=True)


def _check_that_folds_run(store: EventStore) -> None:
    """Return if a fold of nothing runs: then one that is refused is refused for what rows hold, whatever its code."""
    nothing = [_ID_OF_NO_EVENT]
    try:
        _run(store, compile_folds(FoldPlan(nothing, nothing, nothing, has_embeddings=True), ALL_TIME))
    except StoreRejected as error:
        raise StoreUnavailable(f"even a fold of nothing is refused: {error}") from error


def _run(store: EventStore, statements: Sequence[Statement]) -> None:
    for statement in statements:
        store.execute(statement.sql, statement.parameters)
