"""One statement that reads the hours whose rollup holds from there, and the rest of a window from events with FINAL.

ClickHouse takes its snapshots of the tables of one statement at different moments, and it takes that of a table before
it computes what the table is filtered by. So a generation may be found to hold whose rows are not in the snapshot yet;
or its rows are gone already, or are there twice. Every answer therefore adds up the events of the rows that it has
read and of those that there should be; where they differ, whoever asked counts with FINAL instead. What holds is
computed once per statement: two halves of an answer that judge for themselves would count an hour twice or never.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.rollup import HELD_GENERATIONS, IS_WITHIN, Rollup
from event_analytics.windows import Window

# Joining costs about 12 ms of planning, whatever it saves: at 27,000 events an hour that is what so many hours cost.
ROLLED_UP_HOURS_MIN: Final = 6

# A scalar: computed once. Of the hours that hold: `held.1` pairs of hour and generation, `held.2` how many events they
# have in all, `held.3` the hours.
_WITH_HELD: Final = f"""
WITH (SELECT (groupArray((hour, generation)), sum(events), groupArray(hour)) FROM ({HELD_GENERATIONS})) AS held
"""  # noqa: S608 - constants of ours

# FINAL over an hour or two is done before it is shared out among threads, or before an index that rules out nothing has
# been read: a quarter of the whole statement's CPU.
_FEW_ROWS: Final = "split_intersecting_parts_ranges_into_layers_final = 0, use_skip_indexes = 0"
# As long as rows are as few as this, starting threads for them takes longer than they save: 35,000 rows a day here.
_ONE_THREAD_HOURS_MAX: Final = 48

# Conditions on rows of a rollup, and on rows of events inside the window.
_IS_HELD: Final = f"{IS_WITHIN} AND (hour, generation) IN held.1"  # the hours rule out parts before they are opened
_IS_NOT_HELD: Final = """toStartOfHour(timestamp) IN
    (
        SELECT toDateTime(arrayJoin(range({from_hour:UInt32}, {to_hour:UInt32}, 3600)), 'UTC') AS hour
        WHERE hour NOT IN held.3
    )"""


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


def compile_rolled_up(rollup: Rollup, window: Window, top: Top) -> Query:
    """Rows {key, counts, is_whole, keys_total, <count>_total} in order; none where no key may be shown.

    `is_whole` is the same in all rows, and so are the totals: over all keys that may be shown, shown or not.
    """
    totals = ", ".join(f"sumIf({column}, {top.condition}) OVER () AS {column}_total" for column in rollup.counts)
    counts = ", ".join(f"sum({column}) AS {column}" for column in rollup.counts)
    counted = ", ".join(f"{sql} AS {column}" for column, sql in rollup.counts.items())
    where = Conditions().and_key(_IS_NOT_HELD, **rollup_parameters(window)).within(window)
    threads = "SETTINGS max_threads = 1" if full_hours(window) <= _ONE_THREAD_HOURS_MAX else ""
    sql = f"""{_WITH_HELD}
SELECT {rollup.key}, {rollup.columns}, sum(rolled_up) OVER () = held.2 AS is_whole,
    countIf({top.condition}) OVER () AS keys_total, {totals}
FROM
(
    SELECT {rollup.key}, {counts}, sum(rolled_up) AS rolled_up
    FROM
    (
        SELECT {rollup.key}, {rollup.columns}, events AS rolled_up FROM {rollup.table} WHERE {_IS_HELD}
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


def ask_rolled_up(query: Query | None, select: Select) -> Sequence[Mapping[str, Any]]:
    """The rows, which say `is_whole` each, if they are; else none: then the events are to be counted."""
    rows = select(query).rows if query else []
    return rows if rows and rows[0]["is_whole"] else []


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
