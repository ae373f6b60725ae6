"""Makes one id one event again, through a store: right after creates were inserted, and for ids a check has found.

Any order of arrival ends with the same survivor: who is inserted last looks last and sees all. Two that settle one id
at the same moment may leave a tombstone too many if the first accepted came last; the scheduled check settles again.
"""

import uuid
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from event_analytics.conflicts import (
    Create,
    KeyRows,
    compile_hiding,
    compile_lookup,
    compile_revivals,
    conflict_candidates,
    decide,
)
from event_analytics.fold import ALL_TIME, FOLD_IDS_MAX, Statement, compile_folds, compile_marks
from event_analytics.ports import EventStore

_REVIVED_AT_ONCE: Final = 100  # rows held in memory, up to a megabyte each


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
    lookup = compile_lookup(ids)
    settlement = decide(store.select(lookup.sql, lookup.parameters), creates)
    for start in range(0, len(settlement.revive), _REVIVED_AT_ONCE):
        _revive(store, settlement.revive[start : start + _REVIVED_AT_ONCE])
    _run(store, compile_hiding(settlement))
    if settlement.ids:
        # Changes that were folded into the row that is hidden now are marked as done: the survivor needs them too.
        _run(store, [*compile_folds(settlement.ids, ALL_TIME), compile_marks(settlement.ids, ALL_TIME)])
    return len(settlement.ids)


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
