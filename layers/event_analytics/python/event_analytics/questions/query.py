"""SQL with its parameters. No caller's text ever stands in the SQL: it travels beside it, bound by name and type.

FINAL makes every answer exact whatever arrived twice. Conditions stand in WHERE, which runs after FINAL; only what is
part of the sorting key may stand in PREWHERE, which runs before it: all versions of an event share it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from event_analytics.held_hours import HeldByWindow
from event_analytics.ports import Reading
from event_analytics.windows import Window

_IN_WINDOW: Final = "timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}"


class Query(NamedTuple):
    """SQL and its parameters, as `EventStore.ask` takes them."""

    sql: str
    parameters: Mapping[str, Any]


class Select:
    """How a question asks. `held`: what earlier answers have found out; None where nothing is kept between answers."""

    def __init__(self, ask: Callable[[Query], Reading], held: HeldByWindow | None = None) -> None:
        self._ask = ask
        self.held = held

    def __call__(self, query: Query) -> Reading:
        """Rows of one query, and what they cost."""
        return self._ask(query)


class Conditions(NamedTuple):
    """What rows must satisfy, all of it, and the parameters that stand in it. `of_key`: about the sorting key alone."""

    sql: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}
    of_key: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all rows satisfy them."""
        return not (self.sql or self.of_key)

    def and_(self, *sql: str, **parameters: Any) -> "Conditions":
        """These and more."""
        return self._replace(sql=(*self.sql, *sql), parameters={**self.parameters, **parameters})

    def and_key(self, *sql: str, **parameters: Any) -> "Conditions":
        """These and more, about the sorting key alone."""
        return self._replace(of_key=(*self.of_key, *sql), parameters={**self.parameters, **parameters})

    def within(self, window: Window | None) -> "Conditions":
        """These, inside a window; None is all of time."""
        if window is None:
            return self
        bounds = {"start": clickhouse_time(window.start), "end": clickhouse_time(window.end)}
        return self._replace(sql=(_IN_WINDOW, *self.sql), parameters={**bounds, **self.parameters})

    def where(self) -> str:
        """The PREWHERE and WHERE clauses; empty if there is no condition."""
        clauses = (("PREWHERE", self.of_key), ("WHERE", self.sql))
        return "\n".join(f"{name} " + "\n    AND ".join(sql) for name, sql in clauses if sql)


def clickhouse_time(instant: datetime) -> str:
    """A parameter of type DateTime64(3, 'UTC')."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
