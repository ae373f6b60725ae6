"""The time a report is about: `window=24h` or `start` and `end` -> a half-open interval in UTC."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from event_analytics.errors import Reason, Refused

WINDOW_DEFAULT: Final = "24h"
WINDOW_DAYS_MAX: Final = 1_830  # five years: longer windows are typing errors more often than questions
TIME_MIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
TIME_MAX: Final = datetime(2100, 1, 1, tzinfo=UTC)  # the store's hours end in 2106
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_WINDOW: Final = re.compile(r"([1-9]\d{0,6})([mhd])")


class Window(NamedTuple):
    """Half-open: `start` belongs to it, `end` does not."""

    start: datetime
    end: datetime


def read_window(query: Mapping[str, str], now: datetime) -> Window:
    """The window a request asks for, to the millisecond; the last 24 hours if it names none. Without `end` it ends now.

    Raises:
        Refused: window_invalid.
    """
    now = _to_milliseconds(now)
    if "window" in query:
        if "start" in query or "end" in query:
            raise Refused(Reason.WINDOW_INVALID, "give window, or start and end, not both", "window")
        window = Window(now - _length(query["window"]), now)
    elif "start" in query:
        window = Window(_instant(query["start"], "start"), _instant(query["end"], "end") if "end" in query else now)
    elif "end" in query:
        raise Refused(Reason.WINDOW_INVALID, "end needs start", "start")
    else:
        window = Window(now - _length(WINDOW_DEFAULT), now)
    if not timedelta(0) < window.end - window.start <= timedelta(days=WINDOW_DAYS_MAX):
        raise Refused(
            Reason.WINDOW_INVALID, f"end lies after start, and at most {WINDOW_DAYS_MAX} days after it", "end"
        )
    if not (window.start >= TIME_MIN and window.end <= TIME_MAX):
        message = f"a window lies between the years {TIME_MIN.year} and {TIME_MAX.year}"
        raise Refused(Reason.WINDOW_INVALID, message, "start")
    return window


def _length(text: str) -> timedelta:
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise Refused(Reason.WINDOW_INVALID, "a window is a number and m, h or d, such as 24h or 7d", "window")
    length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if length > timedelta(days=WINDOW_DAYS_MAX):
        raise Refused(Reason.WINDOW_INVALID, f"a window has at most {WINDOW_DAYS_MAX} days", "window")
    return length


def _instant(text: str, field: str) -> datetime:
    try:
        instant = msgspec.convert(text.replace(" ", "+"), datetime)  # an unescaped + arrives as a space
    except msgspec.ValidationError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Refused(Reason.WINDOW_INVALID, f"{field} is RFC 3339 with its offset from UTC, such as Z", field)
    try:
        return _to_milliseconds(instant.astimezone(UTC))
    except OverflowError:
        raise Refused(Reason.WINDOW_INVALID, f"{field} lies outside of time", field) from None


def _to_milliseconds(instant: datetime) -> datetime:
    """The instant as the store's clock tells it: what is finer would make a page's window differ from the next's."""
    return instant.replace(microsecond=instant.microsecond // 1_000 * 1_000)


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
