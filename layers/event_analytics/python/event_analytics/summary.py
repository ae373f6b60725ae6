"""The summary of one day or week: which questions it asks, for which window, and what their answers are together.

A summary is made of the same questions that HTTP answers, so it says what they say. Made again it counts again: late
events and changes are in.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from event_analytics.http_exchange import Request
from event_analytics.questions.asking import read_asked
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Select
from event_analytics.windows import Window, format_instant

ROWS_MAX: Final = 20  # of a table: what a person reads before opening the dashboard
_DAYS_PER_WEEK: Final = 7


class Period(StrEnum):
    """How long a summary's window is. A week begins on Monday; all days are UTC's."""

    DAILY = "daily"
    WEEKLY = "weekly"


class Table(NamedTuple):
    """One answer: what it tells, its columns, and its rows by column name."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]


class Summary(NamedTuple):
    """`totals` and `before`: events, users, error rate and latency of the window and of the one before it."""

    period: Period
    window: Window
    totals: Mapping[str, Any]
    before: Mapping[str, Any]
    series: Table
    tables: tuple[Table, ...]


class _Asking(NamedTuple):
    name: str
    title: str
    question: str
    query: Mapping[str, str]
    columns: tuple[str, ...]


_LIMIT: Final = {"limit": str(ROWS_MAX)}
_TABLES: Final = (
    _Asking("top_users", "Most active users", "top-users", {}, ("user_id", "events")),
    _Asking(
        "latency",
        "Latency by event",
        "latency",
        {"by": "event_name"},
        ("event_name", "events", "p50_ms", "p95_ms", "p99_ms"),
    ),
    _Asking(
        "errors", "Errors by event", "errors", {"by": "event_name"}, ("event_name", "events", "errors", "error_rate")
    ),
    _Asking(
        "conversations",
        "Conversations by error rate",
        "top-conversations",
        {"by": "error_rate", "min_events": "5"},
        ("conversation_id", "events", "errors", "error_rate", "p95_ms"),
    ),
)


def window_before(period: Period, now: datetime) -> Window:
    """The last whole day or week before `now`."""
    today = now.astimezone(UTC).date()
    return window_of(period, today - timedelta(days=1 if period is Period.DAILY else _DAYS_PER_WEEK))


def window_of(period: Period, day: date) -> Window:
    """The day, or the week that the day lies in."""
    if period is Period.DAILY:
        return Window(_midnight(day), _midnight(day + timedelta(days=1)))
    monday = day - timedelta(days=day.weekday())
    return Window(_midnight(monday), _midnight(monday + timedelta(days=_DAYS_PER_WEEK)))


def summarize(period: Period, window: Window, select: Select) -> Summary:
    """What the questions answer for a window.

    Raises:
        StoreUnavailable, Refused: as the questions do.
    """
    interval = "hour" if period is Period.DAILY else "day"
    series, totals = _ask("volume", window, {"interval": interval}, select)
    _, before = _ask("volume", Window(window.start - (window.end - window.start), window.start), {}, select)
    tables = tuple(
        Table(each.name, each.title, each.columns, _ask(each.question, window, {**each.query, **_LIMIT}, select)[0])
        for each in _TABLES
    )
    volume = Table("volume", "Events over time", BY_NAME["volume"].row.__struct_fields__, series)
    return Summary(period, window, totals, before, volume, tables)


def _ask(
    name: str, window: Window, query: Mapping[str, str], select: Select
) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """Rows of a question, and what stands beside them."""
    bounds = {"start": format_instant(window.start), "end": format_instant(window.end)}
    request = Request(f"GET {BY_NAME[name].route}", {}, {**bounds, **query}, {}, None, False, None)
    asked = read_asked(BY_NAME[name], request, window.end)
    found = BY_NAME[name].answer(asked, select)
    rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in found.rows]
    totals: Mapping[str, Any] = msgspec.to_builtins(found.totals)
    return rows, totals.get("totals", totals)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
