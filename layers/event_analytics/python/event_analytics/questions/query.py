"""SQL with its parameters. No caller's text ever stands in the SQL: it travels beside it, bound by name and type.

FINAL makes every answer exact whatever arrived twice. Conditions stand in WHERE, which runs after FINAL; only what is
part of the sorting key may stand in PREWHERE, which runs before it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from event_analytics.ports import Reading
from event_analytics.windows import Window

_IN_WINDOW: Final = "timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}"


class Query(NamedTuple):
    """SQL and its parameters, as `EventStore.ask` takes them."""

    sql: str
    parameters: Mapping[str, Any]


Select = Callable[[Query], Reading]


class Conditions(NamedTuple):
    """What rows must satisfy, all of it, and the parameters that stand in it."""

    sql: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}

    def and_(self, *sql: str, **parameters: Any) -> "Conditions":
        """These and more."""
        return Conditions((*self.sql, *sql), {**self.parameters, **parameters})

    def within(self, window: Window | None) -> "Conditions":
        """These, inside a window; None is all of time."""
        if window is None:
            return self
        bounds = {"start": clickhouse_time(window.start), "end": clickhouse_time(window.end)}
        return Conditions((_IN_WINDOW, *self.sql), {**bounds, **self.parameters})

    def where(self) -> str:
        """The WHERE clause; empty if there is no condition."""
        return "WHERE " + "\n    AND ".join(self.sql) if self.sql else ""


def clickhouse_time(instant: datetime) -> str:
    """A parameter of type DateTime64(3, 'UTC')."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
