"""Rollups: hours counted once and kept, and the SQL that tells which of them still hold.

A count of an hour is a generation. Its builder notes which marks the hour had, then reads the events, then commits.
Every write that was marked before is in it, so it holds as long as the hour has exactly the marks that it noted: marks
only ever become more. No clock is compared. `rollup_building` runs it, `rollup_query` reads it, docs/decisions/0013
argues it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.fold import Statement
from event_analytics.hour_marks import HOUR_SECONDS

# Superseded rows stay for as long, since a query or a builder that is under way may still need them. It saves work
# only: a reader that misses rows sees that they are missing.
SUPERSEDED_SECONDS_MIN: Final = 3_600
CLEARED_AT_ONCE: Final = 5_000  # generations of one deletion


class Rollup(NamedTuple):
    """One table of counts: an hour's rows have one value of `key` each, and their `events` add up to the hour's."""

    table: str
    key: str
    counts: dict[str, str]  # column -> SQL that counts it over events

    @property
    def columns(self) -> str:
        """Of the counts, for a list of columns."""
        return ", ".join(self.counts)


_EVENTS_AND_ERRORS: Final = {"events": "count()", "errors": "countIf(error != '')"}
USER_HOURS: Final = Rollup("user_hours", "user_id", {"events": "count()"})
EVENT_NAME_HOURS: Final = Rollup("event_name_hours", "event_name", _EVENTS_AND_ERRORS)
CONVERSATION_HOURS: Final = Rollup("conversation_hours", "conversation_id", _EVENTS_AND_ERRORS)
ROLLUPS: Final = (USER_HOURS, EVENT_NAME_HOURS, CONVERSATION_HOURS)

_MARKS: Final = "SELECT hour, sum(marks) AS marks, sumWithOverflow(digest) AS digest FROM hour_marks"
IS_WITHIN: Final = "hour >= toDateTime({first_hour:UInt32}, 'UTC') AND hour < toDateTime({end_hour:UInt32}, 'UTC')"
_ASKED: Final = """
    SELECT toDateTime(asked.1, 'UTC') AS hour, asked.2 AS marks, asked.3 AS digest
    FROM (SELECT arrayJoin(arrayZip({hours:Array(UInt32)}, {marks:Array(UInt64)}, {digests:Array(UInt64)})) AS asked)
"""


def _held(condition: str) -> str:
    """The generation that holds, per hour that has one. `condition`: SQL on `hour`, a constant of ours."""
    return f"""
    SELECT hour, generation, events, marks, digest
    FROM rollup_generations
    WHERE is_committed = 1 AND {condition}
        AND (hour, marks, digest) IN ({_MARKS} WHERE {condition} GROUP BY hour)
    ORDER BY hour, written_at DESC, generation
    LIMIT 1 BY hour
"""  # noqa: S608 - constants of ours


HELD_GENERATIONS: Final = _held(IS_WITHIN)  # parameters first_hour, end_hour: half-open, Unix seconds

_DIRTY: Final = f"""
SELECT toUnixTimestamp(hour) AS starts_at, marks, digest
FROM ({_MARKS} WHERE hour < toDateTime({{before:UInt32}}, 'UTC') GROUP BY hour)
WHERE (hour, marks, digest) NOT IN (SELECT hour, marks, digest FROM rollup_generations WHERE is_committed = 1)
ORDER BY hour DESC
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours

_ANNOUNCE: Final = f"""
INSERT INTO rollup_generations (hour, generation, is_committed, marks, digest, events)
SELECT hour, {{generation:UUID}}, 0, marks, digest, 0 FROM ({_ASKED})
"""  # noqa: S608 - constants of ours

_COUNT: Final = """
INSERT INTO {rollup.table} (hour, generation, {rollup.key}, {rollup.columns})
SELECT toStartOfHour(timestamp) AS hour, {{generation:UUID}}, {rollup.key}, {counts}
FROM events FINAL
WHERE timestamp >= toDateTime({{from:UInt32}}, 'UTC') AND timestamp < toDateTime({{to:UInt32}}, 'UTC')
    AND toStartOfHour(timestamp) IN (SELECT toDateTime(arrayJoin({{hours:Array(UInt32)}}), 'UTC'))
GROUP BY hour, {rollup.key}
"""


def _of_each(compile_one: Callable[[Rollup], str]) -> str:
    return "    UNION ALL".join(map(compile_one, ROLLUPS))


def _written(rollup: Rollup) -> str:
    return f"""
    SELECT hour, sum(events) AS events, count() AS rows, uniqExact(toString({rollup.key})) AS keys
    FROM {rollup.table}
    WHERE hour IN (SELECT hour FROM ({_ASKED})) AND generation = {{generation:UUID}}
    GROUP BY hour
"""  # noqa: S608 - constants of ours


def _sums(rollup: Rollup) -> str:
    return f"""
    SELECT hour, generation, sum(events) AS events FROM {rollup.table} GROUP BY hour, generation
"""  # noqa: S608 - constants of ours


# A statement that a connection sent twice has written each key twice, and tables that were counted while something
# came differ: such a generation is never committed. An hour without events has no rows at all.
_COMMIT: Final = f"""
INSERT INTO rollup_generations (hour, generation, is_committed, marks, digest, events)
SELECT asked.hour, {{generation:UUID}}, 1, asked.marks, asked.digest, written.events
FROM ({_ASKED}) AS asked
LEFT JOIN
(
    SELECT hour, any(each.events) AS events, count() AS tables, uniqExact(each.events) AS sums,
        countIf(rows != keys) AS doubled
    FROM ({_of_each(_written)}) AS each
    GROUP BY hour
) AS written ON asked.hour = written.hour
WHERE (tables = 0 OR (tables = {len(ROLLUPS)} AND sums = 1)) AND doubled = 0
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
LEFT JOIN
(
    SELECT hour, generation, groupArray(events) AS sums
    FROM ({_of_each(_sums)})
    GROUP BY hour, generation
) AS written
    ON held.hour = written.hour AND held.generation = written.generation
WHERE held.events != 0 AND countEqual(written.sums, held.events) != {len(ROLLUPS)}
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


def compile_counts(hours: Sequence[DirtyHour], generation: UUID) -> list[Statement]:
    """Counts the hours as they are now, for one table after the other. Run after their marks were read."""
    starts = [hour.starts_at for hour in hours]
    bounds = {"from": min(starts), "to": max(starts) + HOUR_SECONDS}
    parameters = {"hours": starts, "generation": str(generation), **bounds}
    return [
        Statement(_COUNT.format(rollup=rollup, counts=", ".join(rollup.counts.values())), parameters)
        for rollup in ROLLUPS
    ]


def compile_commit(hours: Sequence[DirtyHour], generation: UUID) -> Statement:
    """Makes the counts readable; those of an hour that are not one per key, and the same in all tables, stay so."""
    return Statement(_COMMIT, _parameters(hours, generation))


def compile_superseded(age_seconds: int, limit: int) -> Statement:
    """Generations of at least that age that do not hold and never will: rows {starts_at, generation}."""
    return Statement(_SUPERSEDED, {"age_seconds": age_seconds, "limit": limit})


def compile_mending() -> Statement:
    """Marks the hours of generations that hold and have not the events that they were committed with."""
    return Statement(_MARK_TORN, {})


def compile_clearing(generations: Sequence[Generation]) -> list[Statement]:
    """Takes their rows away, then the note that there are any."""
    parameters = {
        "hours": [each.starts_at for each in generations],
        "generations": [str(each.id) for each in generations],
    }
    tables = (*(rollup.table for rollup in ROLLUPS), "rollup_generations")
    return [Statement(_CLEAR.format(table=table), parameters) for table in tables]


def _parameters(hours: Sequence[DirtyHour], generation: UUID) -> dict[str, Any]:
    return {
        "generation": str(generation),
        "hours": [hour.starts_at for hour in hours],
        "marks": [hour.marks for hour in hours],
        "digests": [hour.digest for hour in hours],
    }
