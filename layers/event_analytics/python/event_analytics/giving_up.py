"""Gives changes up, through a store: those whose event never came, and those that no fold takes.

A letter is written before anything is taken away: what ends in between happens again, and makes the same letter.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.change_log import (
    CHANGE_LOG_EPOCH,
    NO_CHANGE,
    compile_change_ids,
    compile_closing,
    compile_expired,
    compile_removal,
    compile_rows,
    record_of_row,
)
from event_analytics.clickhouse_codes import WEIGHT_CODES
from event_analytics.dead_letters import REASON_FOLD_REJECTED, REASON_NO_SUCH_EVENT, DeadLetterWriter, DeadRecord
from event_analytics.errors import StoreRejected
from event_analytics.fold import compile_trial
from event_analytics.folding import RefusedFold, fold_once
from event_analytics.id_lists import IDS_MAX
from event_analytics.isolation import isolate
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.pending_notes import compile_expired_ids
from event_analytics.ports import EventStore

PENDING_SECONDS_MAX: Final = 30 * 86_400  # a change whose event has not come by then belongs to no event
CHANGES_IN_HAND_MAX: Final = 50  # a change has up to 0.9 MB, and its letter is base64 beside it
_IDS_AT_ONCE: Final = 500  # whose notes or changes one statement takes away


def give_up_expired(store: EventStore, letters: DeadLetterWriter, now_s: float, may_go_on: Callable[[], bool]) -> int:
    """Make letters of changes that have waited too long for their event, the oldest first; returns how many.

    The changes stay in the log: a later change of the same id, or the letter sent again, folds them if the event came
    after all. `now_s`: Unix seconds. At least some ids are done, the others wait where `may_go_on` says so.

    Raises:
        StoreUnavailable, LogUnavailable: some of it may have happened; all of it may happen again.
    """
    before_s = int(now_s) - PENDING_SECONDS_MAX
    asked = compile_expired_ids(before_s, IDS_MAX)
    ids = [UUID(row["id"]) for row in store.select(asked.sql, asked.parameters)]
    written = 0
    for start in range(0, len(ids), _IDS_AT_ONCE):
        if start and not may_go_on():
            break
        chunk = ids[start : start + _IDS_AT_ONCE]
        written += _write_expired(store, letters, chunk, before_s, int(now_s * 1_000))
        closing = compile_closing(chunk, before_s)
        store.execute(closing.sql, closing.parameters)
        fold_once(store, chunk)  # an event that came while the letters were written found its changes noted no more
    return written


def _write_expired(
    store: EventStore, letters: DeadLetterWriter, ids: Sequence[UUID], before_s: int, now_ms: int
) -> int:
    after = NO_CHANGE
    written = 0
    while True:
        page = compile_expired(ids, before_s, after, CHANGES_IN_HAND_MAX)
        rows = store.select(page.sql, page.parameters)
        if not rows:
            return written
        detail = f"no event of this id within {PENDING_SECONDS_MAX // 86_400} days"
        dead = [DeadRecord(record_of_row(row), REASON_NO_SUCH_EVENT, detail) for row in rows]
        letters.write(dead, CHANGE_LOG_EPOCH, now_ms)
        written += len(rows)
        after = (UUID(rows[-1]["id"]), UUID(rows[-1]["change_id"]))


def give_up_refused(store: EventStore, letters: DeadLetterWriter, refused: Sequence[RefusedFold], now_ms: int) -> int:
    """Make letters of the changes for which the folds of ids are refused, and fold the rest; returns how many.

    Raises:
        StoreUnavailable, LogUnavailable: as above.
    """
    written = 0
    for start in range(0, len(refused), _IDS_AT_ONCE):
        errors = dict(refused[start : start + _IDS_AT_ONCE])
        culprits = _culprits_of(store, errors)
        for first in range(0, len(culprits), CHANGES_IN_HAND_MAX):
            _write_refused(store, letters, culprits[first : first + CHANGES_IN_HAND_MAX], now_ms)
        for first in range(0, len(culprits), IDS_MAX):
            _remove(store, culprits[first : first + IDS_MAX])
        written += len(culprits)
        fold_once(store, list(errors))
    return written


class _Culprit(NamedTuple):
    """A change that cannot be folded."""

    id: UUID
    change_id: UUID
    error: StoreRejected


def _culprits_of(store: EventStore, errors: Mapping[UUID, StoreRejected]) -> list[_Culprit]:
    names = compile_change_ids(list(errors))
    return [
        _Culprit(identifier, change_id, error)
        for row in store.select(names.sql, names.parameters)
        for identifier in [UUID(row["id"])]
        for change_id, error in _refused_of(store, identifier, list(map(UUID, row["change_ids"])), errors[identifier])
    ]


def _refused_of(
    store: EventStore, identifier: UUID, change_ids: Sequence[UUID], error: StoreRejected
) -> list[tuple[UUID, StoreRejected]]:
    """The changes of an id that cannot be folded even alone; all of them where only their sum cannot."""
    if error.code in WEIGHT_CODES:
        return [(change_id, error) for change_id in change_ids]

    def fold(part: Sequence[UUID]) -> None:
        trial = compile_trial(identifier, part)
        store.execute(trial.sql, trial.parameters)

    # That the store is well was seen when the fold of the id was refused.
    parts = [change_ids[start : start + IDS_MAX] for start in range(0, len(change_ids), IDS_MAX)]
    alone = [one for part in parts for one in isolate(part, fold, math.inf)] if len(change_ids) > 1 else []
    return alone or [(change_id, error) for change_id in change_ids]


def _write_refused(store: EventStore, letters: DeadLetterWriter, culprits: Sequence[_Culprit], now_ms: int) -> None:
    errors = {culprit.change_id: culprit.error for culprit in culprits}
    page = compile_rows([culprit.id for culprit in culprits], list(errors))
    dead = [
        _dead_of(record_of_row(row), errors[UUID(row["change_id"])]) for row in store.select(page.sql, page.parameters)
    ]
    letters.write(dead, CHANGE_LOG_EPOCH, now_ms)


def _remove(store: EventStore, culprits: Sequence[_Culprit]) -> None:
    ids = list({culprit.id: None for culprit in culprits})
    for removal in compile_removal(ids, [culprit.change_id for culprit in culprits]):
        store.execute(removal.sql, removal.parameters)


def _dead_of(record: KafkaRecord, error: StoreRejected) -> DeadRecord:
    return DeadRecord(record, REASON_FOLD_REJECTED, error.detail, error.code, error.name, not error.is_known)
