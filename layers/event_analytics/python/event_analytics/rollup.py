"""Rollups: hours counted once and kept, and the SQL that tells which of them still hold.

A count of an hour is a generation. Its builder notes which marks the hour had, then reads the events, then commits.
Every write that was marked before is in it, so it holds as long as the hour has exactly the marks that it noted: marks
only ever become more. No clock is compared. `rollup_building` runs it, `rollup_query` reads it, docs/decisions/0013
argues it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.fold import Statement
from event_analytics.hour_marks import HOUR_SECONDS

# Superseded rows stay for as long, since a query or a builder that is under way may still need them. It saves work
# only: a reader that misses rows sees that they are missing.
SUPERSEDED_SECONDS_MIN: Final = 3_600
CLEARED_AT_ONCE: Final = 5_000  # generations of one deletion

_MARKS: Final = "SELECT hour, sum(marks) AS marks, sumWithOverflow(digest) AS digest FROM hour_marks"
_IS_WITHIN: Final = "hour >= toDateTime({first_hour:UInt32}, 'UTC') AND hour < toDateTime({end_hour:UInt32}, 'UTC')"
_ASKED: Final = """
    SELECT toDateTime(asked.1, 'UTC') AS hour, asked.2 AS marks, asked.3 AS digest
    FROM (SELECT arrayJoin(arrayZip({hours:Array(UInt32)}, {marks:Array(UInt64)}, {digests:Array(UInt64)})) AS asked)
"""


def _held(condition: str) -> str:
    """The generation that holds, per hour that has one. `condition`: SQL on `hour`, a constant of ours."""
    return f"""
    SELECT hour, generation, rows
    FROM rollup_generations
    WHERE is_committed = 1 AND {condition}
        AND (hour, marks, digest) IN ({_MARKS} WHERE {condition} GROUP BY hour)
    ORDER BY hour, written_at DESC, generation
    LIMIT 1 BY hour
"""  # noqa: S608 - constants of ours


HELD_GENERATIONS: Final = _held(_IS_WITHIN)  # parameters first_hour, end_hour: half-open, Unix seconds

_DIRTY: Final = f"""
SELECT toUnixTimestamp(hour) AS starts_at, marks, digest
FROM ({_MARKS} WHERE hour < toDateTime({{before:UInt32}}, 'UTC') GROUP BY hour)
WHERE (hour, marks, digest) NOT IN (SELECT hour, marks, digest FROM rollup_generations WHERE is_committed = 1)
ORDER BY hour DESC
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours

_ANNOUNCE: Final = f"""
INSERT INTO rollup_generations (hour, generation, is_committed, marks, digest, rows)
SELECT hour, {{generation:UUID}}, 0, marks, digest, 0 FROM ({_ASKED})
"""  # noqa: S608 - constants of ours

_COUNT_USERS: Final = """
INSERT INTO user_hours (hour, generation, user_id, events)
SELECT toStartOfHour(timestamp) AS hour, {generation:UUID}, user_id, count()
FROM events FINAL
WHERE timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
    AND toStartOfHour(timestamp) IN (SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC'))
GROUP BY hour, user_id
"""

# A statement that a connection sent twice has written each user twice: such a generation is never committed.
_COMMIT: Final = f"""
INSERT INTO rollup_generations (hour, generation, is_committed, marks, digest, rows)
SELECT asked.hour, {{generation:UUID}}, 1, asked.marks, asked.digest, written.rows
FROM ({_ASKED}) AS asked
LEFT JOIN
(
    SELECT hour, count() AS rows, uniqExact(user_id) AS users
    FROM user_hours
    WHERE hour IN (SELECT hour FROM ({_ASKED})) AND generation = {{generation:UUID}}
    GROUP BY hour
) AS written ON asked.hour = written.hour
WHERE written.rows = written.users
"""  # noqa: S608 - constants of ours

_SUPERSEDED: Final = f"""
SELECT DISTINCT toUnixTimestamp(hour) AS starts_at, generation
FROM rollup_generations
WHERE written_at < now64(3) - toIntervalSecond({{age_seconds:UInt32}})
    AND (hour, generation) NOT IN (SELECT hour, generation FROM ({_held("1")}))
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours

# What a statement that was sent twice or an erasure has left of a generation that holds.
_MARK_TORN: Final = f"""
INSERT INTO hour_marks (hour)
SELECT held.hour
FROM ({_held("1")}) AS held
LEFT JOIN (SELECT hour, generation, count() AS rows FROM user_hours GROUP BY hour, generation) AS written
    ON held.hour = written.hour AND held.generation = written.generation
WHERE held.rows != written.rows
"""  # noqa: S608 - constants of ours

_CLEAR: Final = """
DELETE FROM {table}
WHERE (hour, generation) IN
(
    SELECT toDateTime(cleared.1, 'UTC'), cleared.2
    FROM (SELECT arrayJoin(arrayZip({{hours:Array(UInt32)}}, {{generations:Array(UUID)}})) AS cleared)
)
"""


class DirtyHour(NamedTuple):
    """An hour to count, by the Unix second of its start, and the marks it had when that was found out."""

    starts_at: int
    marks: int
    digest: int


class Generation(NamedTuple):
    """One count of one hour."""

    starts_at: int
    id: UUID


def compile_dirty(before: int, limit: int) -> Statement:
    """Hours before a Unix second that no generation holds for, newest first: rows {starts_at, marks, digest}."""
    return Statement(_DIRTY, {"before": before, "limit": limit})


def compile_announcement(hours: Sequence[DirtyHour], generation: UUID) -> Statement:
    """Notes that rows of a generation may be there from now on."""
    return Statement(_ANNOUNCE, _parameters(hours, generation))


def compile_count(hours: Sequence[DirtyHour], generation: UUID) -> Statement:
    """Counts the hours as they are now. Runs after their marks were read."""
    starts = [hour.starts_at for hour in hours]
    bounds = {"from": min(starts), "to": max(starts) + HOUR_SECONDS}
    return Statement(_COUNT_USERS, {"hours": starts, "generation": str(generation), **bounds})


def compile_commit(hours: Sequence[DirtyHour], generation: UUID) -> Statement:
    """Makes the counts readable; those of an hour whose rows are not one per user stay unreadable."""
    return Statement(_COMMIT, _parameters(hours, generation))


def compile_superseded(age_seconds: int, limit: int) -> Statement:
    """Generations of at least that age that do not hold and never will: rows {starts_at, generation}."""
    return Statement(_SUPERSEDED, {"age_seconds": age_seconds, "limit": limit})


def compile_mending() -> Statement:
    """Marks the hours of generations that hold and have not the rows that they were committed with."""
    return Statement(_MARK_TORN, {})


def compile_clearing(generations: Sequence[Generation]) -> list[Statement]:
    """Takes their rows away, then the note that there are any."""
    parameters = {
        "hours": [each.starts_at for each in generations],
        "generations": [str(each.id) for each in generations],
    }
    return [Statement(_CLEAR.format(table=table), parameters) for table in ("user_hours", "rollup_generations")]


def _parameters(hours: Sequence[DirtyHour], generation: UUID) -> dict[str, Any]:
    return {
        "generation": str(generation),
        "hours": [hour.starts_at for hour in hours],
        "marks": [hour.marks for hour in hours],
        "digests": [hour.digest for hour in hours],
    }
