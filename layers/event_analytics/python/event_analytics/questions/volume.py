"""How much happens when: a time series of events, users, errors and latency, without gaps."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, Struct

from event_analytics.errors import Reason, Refused
from event_analytics.questions.event_rows import format_ms
from event_analytics.questions.parameters import FILTERS, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query
from event_analytics.questions.question import Asked, Found, Question, answer_at_once
from event_analytics.windows import Window

POINTS_MAX: Final = 2_000  # more than a screen has pixels
AUTO_POINTS_MAX: Final = 200  # `auto` takes the finest interval that stays below: a week by hours, a month by days


class Interval(NamedTuple):
    """A length of time that days consist of, and ClickHouse's function for the begin of the one around an instant."""

    seconds: int
    function: str


_INTERVALS: Final = {
    "minute": Interval(60, "toStartOfMinute"),
    "hour": Interval(3_600, "toStartOfHour"),
    "day": Interval(86_400, "toStartOfDay"),
}
_INTERVAL: Final = Parameter(
    "interval",
    Kind.CHOICE,
    f"Length of a point, in UTC; auto is the finest with at most {AUTO_POINTS_MAX} points. "
    f"A series has at most {POINTS_MAX:,}.",
    default="auto",
    choices=(*_INTERVALS, "auto"),
)


class VolumeRow(Struct, frozen=True):
    """One interval. The first and the last reach beyond the window, and count only what lies in it."""

    start: Annotated[str, Meta(description="Its first instant, RFC 3339.")]
    events: Annotated[int, Meta(description="Number of events.")] = 0
    users: Annotated[int, Meta(description="Number of different users.")] = 0
    errors: Annotated[int, Meta(description="Number of events with an error.")] = 0
    error_rate: Annotated[float, Meta(description="errors / events; 0 without events.")] = 0.0
    p50_ms: Annotated[float | None, Meta(description="Median latency; null without latencies.")] = None
    p95_ms: Annotated[float | None, Meta(description="95 in 100 took at most so long.")] = None


class WindowSum(Struct, frozen=True):
    """The whole window: users and quantiles of intervals do not add up to these."""

    events: Annotated[int, Meta(description="Number of events.")] = 0
    users: Annotated[int, Meta(description="Number of different users.")] = 0
    errors: Annotated[int, Meta(description="Number of events with an error.")] = 0
    error_rate: Annotated[float, Meta(description="errors / events; 0 without events.")] = 0.0
    p50_ms: Annotated[float | None, Meta(description="Median latency; null without latencies.")] = None
    p95_ms: Annotated[float | None, Meta(description="95 in 100 took at most so long.")] = None


class VolumeTotals(Struct, frozen=True):
    """What `auto` became, and the window as one."""

    interval: Annotated[str, Meta(description="minute, hour or day.")]
    totals: Annotated[WindowSum, Meta(description="The figures of a point, over the whole window.")]


def choose_interval(asked: Asked) -> str:
    """The interval that a request means.

    Raises:
        Refused: parameter_invalid: the series would be too long.
    """
    window = _window_of(asked)
    if asked.options["interval"] == "auto":
        finest = (name for name, interval in _INTERVALS.items() if _points(window, interval) <= AUTO_POINTS_MAX)
        return next(finest, "day")
    name: str = asked.options["interval"]
    if _points(window, _INTERVALS[name]) > POINTS_MAX:
        message = f"a series has at most {POINTS_MAX:,} points: ask for a longer interval or a shorter window"
        raise Refused(Reason.PARAMETER_INVALID, message, "interval")
    return name


def compile_volume(asked: Asked) -> Query:
    """One row per interval that has events, and one for all of them: `is_total`."""
    conditions = asked.conditions()
    sql = f"""
SELECT toUnixTimestamp({_INTERVALS[choose_interval(asked)].function}(timestamp)) AS start_s,
    grouping(start_s) AS is_total,
    count() AS events, uniqExactIf(user_id, user_id != '') AS users, countIf(error != '') AS errors,
    errors / events AS error_rate, countIf(latency_ms IS NOT NULL) AS timed,
    quantilesExactIf(0.5, 0.95)(assumeNotNull(latency_ms), latency_ms IS NOT NULL) AS quantiles
FROM events FINAL
{conditions.where()}
GROUP BY start_s WITH ROLLUP
ORDER BY is_total, start_s
"""  # noqa: S608 - constants of ours
    return Query(sql, conditions.parameters)


def _shape(rows: Sequence[Mapping[str, Any]], asked: Asked) -> Found:
    name = choose_interval(asked)
    by_start = {row["start_s"]: row for row in rows if not row["is_total"]}
    total = next((WindowSum(*_figures_of(row)) for row in rows if row["is_total"]), WindowSum())
    starts = _starts(_window_of(asked), _INTERVALS[name])
    return Found([_row_of(start, by_start.get(start)) for start in starts], {"interval": name, "totals": total})


def _row_of(start_s: int, row: Mapping[str, Any] | None) -> VolumeRow:
    start = format_ms(start_s * 1_000)
    return VolumeRow(start) if row is None else VolumeRow(start, *_figures_of(row))


def _figures_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    p50, p95 = row["quantiles"] if row["timed"] else (None, None)
    rate = row["error_rate"] if row["events"] else 0.0
    return row["events"], row["users"], row["errors"], rate, p50, p95


def _starts(window: Window, interval: Interval) -> Iterator[int]:
    first, end = _begin(window.start, interval), window.end.timestamp()
    for number in range(_points(window, interval)):
        start = first + number * interval.seconds
        if start < end:
            yield start


def _points(window: Window, interval: Interval) -> int:
    last = window.end - timedelta(milliseconds=1)  # the store's clock ticks in milliseconds
    return (_begin(last, interval) - _begin(window.start, interval)) // interval.seconds + 1


def _begin(instant: datetime, interval: Interval) -> int:
    seconds = int(instant.timestamp())
    return seconds - seconds % interval.seconds


def _window_of(asked: Asked) -> Window:
    if asked.window is None:
        raise ValueError("a series has a window")  # its parameters have a default
    return asked.window


VOLUME = Question(
    name="volume",
    route="/reports/volume",
    summary="Events, users, errors and latency over time, without gaps.",
    parameters=(*WINDOW, _INTERVAL, *FILTERS),
    rows_name="series",
    row=VolumeRow,
    totals=VolumeTotals,
    compile=compile_volume,
    answer=answer_at_once(compile_volume, _shape),
)
