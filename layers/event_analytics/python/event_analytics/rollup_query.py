"""One statement that reads the hours whose rollup holds from there, and the rest of a window from events with FINAL.

ClickHouse takes its snapshots of the tables of one statement at different moments, and it takes that of a table before
it computes what the table is filtered by. So a generation may be found to hold whose rows are not in the snapshot yet;
or its rows are gone already, or are there twice. Every answer therefore adds up the events of the rows that it has
read and of those that there should be; where they differ, whoever asked counts with FINAL instead. Both halves of a
statement go by one list of what holds: two that judge for themselves would count an hour twice or never. The statement
computes that list, or is told and checks it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from event_analytics.held_hours import Bounds, Held, held_of
from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.rollup import HELD_GENERATIONS, IS_WITHIN, Rollup
from event_analytics.windows import Window

# Joining costs about 12 ms of planning, whatever it saves: at 27,000 events an hour that is what so many hours cost.
ROLLED_UP_HOURS_MIN: Final = 6

# Of the hours that hold, a scalar: computed once. `held.1` pairs of hour and generation, `held.2` how many events they
# have in all, `held.3` the hours.
_WITH_HELD: Final = f"""
WITH (SELECT (groupArray((hour, generation)), sum(events), groupArray(hour)) FROM ({HELD_GENERATIONS})) AS held
"""  # noqa: S608 - constants of ours
_FIND_HELD: Final = f"""
SELECT toUnixTimestamp(hour) AS starts_at, generation, events, marks, digest FROM ({HELD_GENERATIONS})
SETTINGS max_threads = 1
"""  # noqa: S608 - as above
_WITH_MARKS: Final = """
WITH (SELECT (sum(marks), sumWithOverflow(digest)) FROM hour_marks WHERE hour IN {held_hours:Array(DateTime('UTC'))})
    AS marked
"""

# FINAL over an hour or two is done before it is shared out among threads, or before an index that rules out nothing has
# been read: a quarter of the whole statement's CPU.
_FEW_ROWS: Final = "split_intersecting_parts_ranges_into_layers_final = 0, use_skip_indexes = 0"
# As long as rows are as few as this, starting threads for them takes longer than they save, and finding out what holds
# is a quarter of the whole: 35,000 rows a day here.
FEW_HOURS_MAX: Final = 48


class _HeldSql(NamedTuple):
    """What of the statement depends on who finds out what holds: SQL that begins it, and conditions.

    `is_held`: on rows of the rollup. `is_not_held`: on rows of events. `is_whole`: on the rows that were read.
    """

    begin: str
    is_held: str
    is_not_held: str
    is_whole: str
    parameters: Mapping[str, Any]


class Top(NamedTuple):
    """Which keys an answer shows: the first `limit` by `rank`, SQL of an ORDER BY over key and counts.

    `condition`: SQL over key and counts, of those that may be shown; `parameters` stand in it.
    """

    rank: str
    condition: str
    limit: int
    parameters: Mapping[str, Any] = MappingProxyType({})


def window_to_roll_up(window: Window | None) -> Window | None:
    """The window if it is long enough to save anything, else None."""
    return window if window is not None and full_hours(window) >= ROLLED_UP_HOURS_MIN else None


def compile_rolled_up(rollup: Rollup, window: Window, top: Top, held: Held | None = None) -> Query:
    """Rows {key, counts, is_whole, keys_total, <count>_total} in order; none where no key may be shown.

    `is_whole` is the same in all rows, and so are the totals: over all keys that may be shown, shown or not. `held`:
    what was found to hold, if it is known; where it does not any more, the answer is not whole.
    """
    part = _finding_out(window) if held is None else _told(window, held)
    totals = ", ".join(f"sumIf({column}, {top.condition}) OVER () AS {column}_total" for column in rollup.counts)
    counts = ", ".join(f"sum({column}) AS {column}" for column in rollup.counts)
    counted = ", ".join(f"{sql} AS {column}" for column, sql in rollup.counts.items())
    where = Conditions().and_key(part.is_not_held, **part.parameters).within(window)
    threads = "SETTINGS max_threads = 1" if full_hours(window) <= FEW_HOURS_MAX else ""
    sql = f"""{part.begin}
SELECT {rollup.key}, {rollup.columns}, {part.is_whole} AS is_whole,
    countIf({top.condition}) OVER () AS keys_total, {totals}
FROM
(
    SELECT {rollup.key}, {counts}, sum(rolled_up) AS rolled_up
    FROM
    (
        SELECT {rollup.key}, {rollup.columns}, events AS rolled_up FROM {rollup.table} WHERE {part.is_held}
        UNION ALL
        SELECT {rollup.key}, {counted}, 0 AS rolled_up FROM events FINAL {where.where()} GROUP BY {rollup.key}
        SETTINGS {_FEW_ROWS}
    )
    GROUP BY {rollup.key}
)
QUALIFY {top.condition}
ORDER BY {top.rank}
LIMIT {top.limit:d}
{threads}
"""  # noqa: S608 - constants of ours
    return Query(sql, {**where.parameters, **top.parameters})


def _finding_out(window: Window) -> _HeldSql:
    """The statement finds out itself. The hours rule out parts before they are opened."""
    return _HeldSql(
        begin=_WITH_HELD,
        is_held=f"{IS_WITHIN} AND (hour, generation) IN held.1",
        is_not_held="""toStartOfHour(timestamp) IN
    (
        SELECT toDateTime(arrayJoin(range({from_hour:UInt32}, {to_hour:UInt32}, 3600)), 'UTC') AS hour
        WHERE hour NOT IN held.3
    )""",
        is_whole="sum(rolled_up) OVER () = held.2",
        parameters=rollup_parameters(window),
    )


def _told(window: Window, held: Held) -> _HeldSql:
    """The statement is told, and checks that it is so still."""
    parameters = rollup_parameters(window)
    touched = range(parameters["from_hour"], parameters["to_hour"], HOUR_SECONDS)
    return _HeldSql(
        begin=_WITH_MARKS,
        is_held="""(hour, generation) IN
            arrayZip({held_hours:Array(DateTime('UTC'))}, {held_generations:Array(UUID)})""",
        is_not_held="toStartOfHour(timestamp) IN {other_hours:Array(DateTime('UTC'))}",
        is_whole="""sum(rolled_up) OVER () = {held_events:UInt64}
        AND marked = ({held_marks:UInt64}, {held_digest:UInt64})""",
        parameters={
            "held_hours": list(held.hours),
            "held_generations": list(held.generations),
            "held_events": held.events,
            "held_marks": held.marks,
            "held_digest": held.digest,
            "other_hours": sorted(set(touched).difference(held.hours)),
        },
    )


def ask_rolled_up(
    compile_held: Callable[[Held | None], Query | None], window: Window | None, select: Select
) -> Sequence[Mapping[str, Any]]:
    """The rows, which say `is_whole` each, if they are; else none: then the events are to be counted.

    `compile_held`: the statement that is told what holds, and that which finds out; None where there is no rollup.
    """
    finding_out = compile_held(None)
    if finding_out is None or window is None:
        return []
    held = _recall(window, select)
    told = compile_held(held) if held else None
    if told:
        rows = select(told).rows
        if not rows or rows[0]["is_whole"]:
            return rows
        _forget(window, select)
    rows = select(finding_out).rows
    return rows if rows and rows[0]["is_whole"] else []


def _recall(window: Window, select: Select) -> Held | None:
    """What holds as far as it is known, found out now and then; None where there is nothing to tell, or no gain."""
    if select.held is None or full_hours(window) > FEW_HOURS_MAX:
        return None
    find = Query(_FIND_HELD, rollup_parameters(window))
    held = select.held.of(_bounds(window), lambda: held_of(select(find).rows))
    return held if held and held.hours else None


def _forget(window: Window, select: Select) -> None:
    if select.held is not None:
        select.held.forget(_bounds(window))


def _bounds(window: Window) -> Bounds:
    parameters = rollup_parameters(window)
    return parameters["first_hour"], parameters["end_hour"]


def rollup_parameters(window: Window) -> dict[str, int]:
    """What the SQL above needs, in Unix seconds: the full hours of a window, and the hours that it touches."""
    starts_at, ends_at = window.start.timestamp(), window.end.timestamp()
    return {
        "first_hour": math.ceil(starts_at / HOUR_SECONDS) * HOUR_SECONDS,
        "end_hour": int(ends_at // HOUR_SECONDS) * HOUR_SECONDS,
        "from_hour": int(starts_at // HOUR_SECONDS) * HOUR_SECONDS,
        "to_hour": math.ceil(ends_at / HOUR_SECONDS) * HOUR_SECONDS,
    }


def full_hours(window: Window) -> int:
    """How many hours lie in a window from their start to their end."""
    parameters = rollup_parameters(window)
    return max((parameters["end_hour"] - parameters["first_hour"]) // HOUR_SECONDS, 0)
