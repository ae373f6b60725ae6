"""Runs folds through a store: right after changes were inserted, and again for whatever was left pending.

The order is what makes it safe: changes are in, the ids are noted as pending, then the fold. A create that lands while
a fold reads finds its id noted, and the next pass folds it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.fold import (
    ALL_TIME,
    FOLD_IDS_MAX,
    Statement,
    TimeRange,
    compile_folds,
    compile_marks,
    compile_pending,
    compile_pending_page,
    compile_unfolded,
    hint_of,
)
from event_analytics.identifiers import timestamp_ms_of
from event_analytics.ports import EventStore

PENDING_DAYS_MAX: Final = 30  # a change whose event has not come by then belongs to no event
_SECONDS_PER_DAY: Final = 86_400
_SMALLEST_ID: Final = UUID(int=0)


class PassReport(NamedTuple):
    """What one pass over the pending ids did. `expired`: ids whose changes wait for an event for over 30 days."""

    looked_at: int
    folded: int
    expired: list[UUID]


def fold_changes(store: EventStore, ids: Sequence[UUID]) -> None:
    """Fold the changes of ids, which are in the store already; what cannot be folded yet stays pending.

    Raises:
        StoreUnavailable: some of it may have happened; all of it may happen again.
    """
    for start in range(0, len(ids), FOLD_IDS_MAX):
        chunk = ids[start : start + FOLD_IDS_MAX]
        _run(store, [compile_pending(chunk)])
        fold_once(store, chunk)


def fold_once(store: EventStore, ids: Sequence[UUID]) -> list[UUID]:
    """Fold up to FOLD_IDS_MAX ids and mark what is done; returns those that still have unfolded changes."""
    timed = [identifier for identifier in ids if timestamp_ms_of(identifier) is not None]
    hint = hint_of(timed)
    unfolded = set(ids)
    if hint is not None:
        _fold_within(store, timed, hint)
        unfolded -= set(timed)
        unfolded |= set(_unfolded(store, timed))
    if unfolded:
        rest = [identifier for identifier in ids if identifier in unfolded]
        _fold_within(store, rest, ALL_TIME)
        return _unfolded(store, rest)
    return []


def fold_pending(store: EventStore, now_s: float, may_go_on: Callable[[], bool]) -> PassReport:
    """Fold whatever is pending, page by page, as long as `may_go_on`; the rest waits. `now_s`: Unix seconds."""
    looked_at = folded = 0
    expired: list[UUID] = []
    for page in _pages_of(store):
        left = set(fold_once(store, [identifier for identifier, _ in page]))
        looked_at += len(page)
        folded += len(page) - len(left)
        oldest_allowed = now_s - PENDING_DAYS_MAX * _SECONDS_PER_DAY
        expired += [identifier for identifier, since in page if identifier in left and since < oldest_allowed]
        if not may_go_on():
            break
    return PassReport(looked_at, folded, expired)


def _pages_of(store: EventStore) -> Iterator[list[tuple[UUID, int]]]:
    after = _SMALLEST_ID
    while True:
        statement = compile_pending_page(after, FOLD_IDS_MAX)
        rows = store.select(statement.sql, statement.parameters)
        if not rows:
            return
        yield [(UUID(row["id"]), int(row["waiting_since"])) for row in rows]
        after = UUID(rows[-1]["id"])


def _fold_within(store: EventStore, ids: Sequence[UUID], where: TimeRange) -> None:
    _run(store, [*compile_folds(ids, where), compile_marks(ids, where)])


def _unfolded(store: EventStore, ids: Sequence[UUID]) -> list[UUID]:
    statement = compile_unfolded(ids)
    return [UUID(row["id"]) for row in store.select(statement.sql, statement.parameters)]


def _run(store: EventStore, statements: Sequence[Statement]) -> None:
    for statement in statements:
        store.execute(statement.sql, statement.parameters)
