"""Counts hours that were written to, newest first, through a store.

A run may end anywhere, and another may run beside it. The order is what makes it exact: the marks are read, then the
events, then the count is committed.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.ports import EventStore
from event_analytics.rollup import (
    CLEARED_AT_ONCE,
    SUPERSEDED_SECONDS_MIN,
    DirtyHour,
    Generation,
    compile_announcement,
    compile_clearing,
    compile_commit,
    compile_counts,
    compile_dirty,
    compile_mending,
    compile_superseded,
)

# Most of what belongs to an hour has come by then. It saves recounts; an answer is exact whenever an hour is counted.
CLOSED_AFTER_SECONDS: Final = 300
RUN_SECONDS_MAX: Final = 10.0  # after it no batch begins; the next minute goes on
# An hour may hold ten events or ten million: a batch doubles as long as it is quick, so that a slow one is small.
BATCH_SECONDS: Final = 1.0
BATCH_HOURS_MAX: Final = 64


class BuildReport(NamedTuple):
    """What one run did. `counted`: hours; `cleared`: superseded generations."""

    counted: int
    cleared: int


def build_rollups(store: EventStore, now: Callable[[], float], mint_generation: Callable[[], UUID]) -> BuildReport:
    """Count closed hours that no generation holds for, as many as the time allows. `now`: Unix seconds.

    Raises:
        StoreUnavailable: what was committed stays; the rest waits for another run.
    """
    started = now()
    cleared = clear_superseded(store, SUPERSEDED_SECONDS_MIN)
    before = int(started) - CLOSED_AFTER_SECONDS - HOUR_SECONDS + 1
    counted, size = 0, 1
    while now() - started < RUN_SECONDS_MAX and (hours := read_dirty(store, before, size)):
        began = now()
        count_hours(store, hours, mint_generation())
        counted += len(hours)
        before = hours[-1].starts_at
        size = min(size * 2, BATCH_HOURS_MAX) if now() - began < BATCH_SECONDS else max(size // 2, 1)
    return BuildReport(counted, cleared)


def read_dirty(store: EventStore, before: int, limit: int) -> list[DirtyHour]:
    """Up to `limit` hours that start before a Unix second, newest first, with the marks they have now."""
    statement = compile_dirty(before, limit)
    rows = store.select(statement.sql, statement.parameters)
    return [DirtyHour(row["starts_at"], row["marks"], row["digest"]) for row in rows]


def count_hours(store: EventStore, hours: Sequence[DirtyHour], generation: UUID) -> None:
    """Write one generation of hours whose marks were read before, and commit it. `generation`: never used before."""
    for statement in (
        compile_announcement(hours, generation),
        *compile_counts(hours, generation),
        compile_commit(hours, generation),
    ):
        store.execute(statement.sql, statement.parameters)


def clear_superseded(store: EventStore, age_seconds: int) -> int:
    """Delete counts of at least that age that can never hold again; returns how many."""
    statement = compile_superseded(age_seconds, CLEARED_AT_ONCE)
    rows = store.select(statement.sql, statement.parameters)
    if rows:
        for deletion in compile_clearing([Generation(row["starts_at"], UUID(row["generation"])) for row in rows]):
            store.execute(deletion.sql, deletion.parameters)
    return len(rows)


def mend_rollups(store: EventStore) -> None:
    """Have the next run count hours anew whose counts are damaged. Queries see the damage and go without them."""
    statement = compile_mending()
    store.execute(statement.sql, statement.parameters)
