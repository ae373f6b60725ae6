"""Arguments of a read -> one HTTP request. Pure; `asking` sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote, urlencode

from tallystream.wire import format_time

Result = TypeVar("Result")

Scalar = str | int | float | bool
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "exists"]
Comparison = Scalar | tuple[Operator, Scalar] | list[tuple[Operator, Scalar]]
"""A value to equal, `("gte", 5)`, or a list of such pairs that must all hold."""
Include = Literal["input", "output", "embeddings"]


class Window(TypedDict, total=False):
    """A window of event time: `window="24h"`, or `start` with or without `end` (half-open). Default: the API's."""

    window: str | timedelta
    start: datetime | str
    end: datetime | str


class KeyFilters(Window, total=False):
    """Which events count. All that are given must hold."""

    event_name: str
    user_id: str
    conversation_id: str
    has_error: bool


class Filters(KeyFilters, total=False):
    """As `KeyFilters`, and by properties."""

    properties: Mapping[str, Comparison]
    """By dotted path: `{"model": "m-1", "usage.tokens": ("gt", 500)}`."""


KEY_FILTERS: Final = frozenset(("window", "start", "end", "event_name", "user_id", "conversation_id", "has_error"))
FILTERS: Final = KEY_FILTERS | {"properties"}


@dataclass(frozen=True)
class Question(Generic[Result]):
    """One read and the type of its answer."""

    result: type[Result]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    document: Mapping[str, Any] | None = None

    @property
    def target(self) -> str:
        """Path and query as they stand on the wire."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def at(self, cursor: str) -> Question[Result]:
        """The same question about the page that begins at the cursor."""
        others = tuple(pair for pair in self.query if pair[0] != "cursor")
        return replace(self, query=(*others, ("cursor", cursor)))


def ask_for(result: type[Result], path: str, filters: Mapping[str, Any], **parameters: Any) -> Question[Result]:
    """A read with filters; parameters that are None are left out.

    Raises:
        TypeError: a filter of another name.
    """
    query = [(name, _text(value)) for name, value in parameters.items() if value is not None]
    return Question(result, path, (*query, *_read_filters(filters)))


def path_of(template: str, identifier: str) -> str:
    """The template with the identifier in place of `{id}`, escaped."""
    return template.replace("{id}", quote(identifier, safe=""))


def members_of(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters as members of a JSON body.

    Raises:
        TypeError: a filter of another name.
    """
    _check_names(filters, KEY_FILTERS)
    return {name: value if isinstance(value, bool) else _text(value) for name, value in filters.items()}


def _read_filters(filters: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    _check_names(filters, FILTERS)
    for name, value in filters.items():
        if name == "properties":
            for path, comparison in value.items():
                yield from ((f"properties.{path}", text) for text in _read_comparison(comparison))
        elif value is not None:
            yield name, _text(value)


def _check_names(filters: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(filters) - known)
    if unknown:
        raise TypeError(f"no filter here is called {unknown[0]!r}: {', '.join(sorted(known))}")


def _read_comparison(comparison: Comparison) -> list[str]:
    pairs = comparison if isinstance(comparison, list) else [comparison]
    return [f"{pair[0]}:{_text(pair[1])}" if isinstance(pair, tuple) else f"eq:{_text(pair)}" for pair in pairs]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return f"{max(round(value.total_seconds() / 60), 1)}m"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    return str(value)
