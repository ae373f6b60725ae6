"""Runs folds through a store: right after changes were inserted, and again for whatever was left pending.

The order is what makes it safe: changes are in, the fold runs, and then whatever no row shows to be folded is noted as
pending. A create that lands while a fold reads is not in the row that the log asks for, so its id is noted and the next
pass folds it. Until the notes are made nothing is acknowledged: a batch that dies in between comes again.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.errors import StoreRejected, StoreUnavailable
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
from event_analytics.hour_marks import mark_hours
from event_analytics.identifiers import timestamp_ms_of
from event_analytics.isolation import isolate
from event_analytics.pending_notes import compile_notes, compile_page
from event_analytics.ports import EventStore

PENDING_SECONDS_MAX: Final = 30 * 86_400  # a change whose event has not come by then belongs to no event
_SMALLEST_ID: Final = UUID(int=0)
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
    """What one pass over the pending ids did. `expired`: ids whose changes wait for an event for over 30 days."""

    looked_at: int
    folded: int
    expired: list[UUID]
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
    """Fold whatever is pending, page by page, as long as `may_go_on`; the rest waits. `now_s`: Unix seconds."""
    report = PassReport(0, 0, [], [])
    oldest_allowed = now_s - PENDING_SECONDS_MAX
    for page in _pages_of(store):
        outcome = fold_once(store, list(page))
        folded = set(page) - set(outcome.unfolded)
        if folded:
            _run(store, [compile_marks(list(folded), ALL_TIME)])
        waiting = set(outcome.unfolded) - {identifier for identifier, _ in outcome.refused}
        report.expired.extend(identifier for identifier in waiting if page[identifier] < oldest_allowed)
        report.refused.extend(outcome.refused)
        report = report._replace(looked_at=report.looked_at + len(page), folded=report.folded + len(folded))
        if not may_go_on():
            break
    return report


def _pages_of(store: EventStore) -> Iterator[dict[UUID, int]]:
    """Pending ids, page by page, each with the Unix second since which it waits."""
    after = _SMALLEST_ID
    while True:
        statement = compile_page(after, FOLD_IDS_MAX)
        page = {UUID(row["id"]): int(row["waiting_since"]) for row in store.select(statement.sql, statement.parameters)}
        if not page:
            return
        yield page
        after = list(page)[-1]


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
        except StoreRejected as error:
            if not (error.is_known or is_well):
                _check_that_folds_run(store)
                is_well = True
            raise

    refused = isolate(ids, fold, math.inf)
    return refused, min(version_mins, default=0)


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
