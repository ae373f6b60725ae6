"""Makes one id one event again, through a store: right after creates were inserted, and for ids a check has found.

Any order of arrival ends with the same survivor: who is inserted last looks last and sees all. Of several that settle
one id at the same moment, none trusts what it decided: each looks again after it has written, until nothing is left to
do. Whoever writes last sees the writes of all.
"""

import uuid
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from event_analytics.conflict_sql import ROWS_AT_ONCE, compile_hiding, compile_lookup, compile_revivals
from event_analytics.conflicts import (
    Create,
    KeyRows,
    Settlement,
    conflict_candidates,
    decide,
    hidden_since,
    hours_in_conflict,
)
from event_analytics.errors import StoreUnavailable
from event_analytics.fold import FOLD_IDS_MAX, Statement
from event_analytics.folding import fold_once
from event_analytics.hour_marks import mark_hours
from event_analytics.pending_notes import compile_reopening
from event_analytics.ports import EventStore

_ROUNDS_MAX: Final = 10  # two are enough for one that is alone; each other one may cost a round or two more


def settle_conflicts(store: EventStore, creates: Sequence[Create]) -> int:
    """Hide what creates, which are in the store already, count twice; returns how many ids were in conflict.

    An id that was settled before and did not change is not counted again.

    Raises:
        StoreUnavailable: some of it may have happened; all of it may happen again.
    """
    return settle_ids(store, conflict_candidates(creates), creates)


def settle_ids(store: EventStore, ids: Sequence[UUID], creates: Sequence[Create] = ()) -> int:
    """The same for any ids; `creates`: those of them that were just inserted.

    Raises:
        StoreUnavailable: as above.
    """
    return sum(_settle(store, ids[start : start + FOLD_IDS_MAX], creates) for start in range(0, len(ids), FOLD_IDS_MAX))


def _settle(store: EventStore, ids: Sequence[UUID], creates: Sequence[Create]) -> int:
    settled: dict[UUID, None] = {}
    hours: set[int] = set()
    revived: list[KeyRows] = []
    lookup = compile_lookup(ids)
    for _ in range(_ROUNDS_MAX):
        rows = store.select(lookup.sql, lookup.parameters)
        settlement = decide(rows, creates)
        settlement = settlement._replace(hide=settlement.hide + hidden_since(rows, revived, settlement))
        revived = settlement.revive
        hours |= hours_in_conflict(rows, settlement)
        if settlement.is_empty:
            break
        settled |= dict.fromkeys(settlement.ids)
        mark_hours(store, hours)  # before as well: a check that dies half-way is not called again with the same ids
        _write(store, settlement)
    else:
        raise StoreUnavailable(f"others settle the same ids at the same moment, {_ROUNDS_MAX} times")
    if settled:
        fold_once(store, list(settled))
    mark_hours(store, hours)
    return len(settled)


def _write(store: EventStore, settlement: Settlement) -> None:
    if settlement.ids:
        # Changes that were folded into the row that is hidden now are marked as done: the survivor needs them too.
        _run(store, compile_reopening(settlement.ids))
    for start in range(0, len(settlement.revive), ROWS_AT_ONCE):
        _revive(store, settlement.revive[start : start + ROWS_AT_ONCE])
    _run(store, compile_hiding(settlement))


def _revive(store: EventStore, rows: Sequence[KeyRows]) -> None:
    for revival in compile_revivals(rows):
        held = store.select(revival.rows.sql, revival.rows.parameters)
        if not held:
            continue
        lines = b"\n".join(map(msgspec.json.encode, held))
        # Before, so that nothing is lost if this ends in between; after, as a merge may have kept the tombstone only.
        store.insert_rows(revival.table, lines, f"revived/{uuid.uuid4()}", revival.columns)
        _run(store, [revival.unhide])
        store.insert_rows(revival.table, lines, f"revived/{uuid.uuid4()}", revival.columns)


def _run(store: EventStore, statements: Sequence[Statement]) -> None:
    for statement in statements:
        store.execute(statement.sql, statement.parameters)
