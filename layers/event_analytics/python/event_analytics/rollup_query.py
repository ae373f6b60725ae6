"""One statement that reads the hours whose rollup holds from there, and the rest of a window from events with FINAL.

ClickHouse takes its snapshots of the tables of one statement at different moments, and it takes that of a table before
it computes what the table is filtered by. So a generation may be found to hold whose rows are not in the snapshot yet;
or its rows are gone already, or are there twice. Every answer therefore tells how many rows it has read and how many
there should be; where they differ, whoever asked counts with FINAL instead. What holds is computed once per statement:
two halves of an answer that judge for themselves would count an hour twice or never.
"""

import math
from typing import Final

from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.rollup import HELD_GENERATIONS
from event_analytics.windows import Window

# A scalar: computed once. `held.1` pairs of hour and generation, `held.2` how many rows they have in all.
WITH_HELD: Final = f"""
WITH (SELECT (groupArray((hour, generation)), sum(rows)) FROM ({HELD_GENERATIONS})) AS held
"""  # noqa: S608 - constants of ours

# Conditions on rows of a rollup, and on rows of events inside the window.
IS_HELD: Final = "(hour, generation) IN (SELECT each.1, each.2 FROM (SELECT arrayJoin(held.1) AS each))"
IS_NOT_HELD: Final = """toStartOfHour(timestamp) IN
    (
        SELECT toDateTime(arrayJoin(range({from_hour:UInt32}, {to_hour:UInt32}, 3600)), 'UTC') AS hour
        WHERE hour NOT IN (SELECT each.1 FROM (SELECT arrayJoin(held.1) AS each))
    )"""


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
