"""JSON of the API <-> result types. Fields that a newer API adds are passed over; missing ones must have a default."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any, TypeVar, cast

Result = TypeVar("Result")


def read_as(result: type[Result], document: Mapping[str, Any]) -> Result:
    """The document as a result type.

    Raises:
        TypeError, ValueError: it is none.
    """
    readers = _readers_of(result)  # type: ignore[arg-type] # classes are hashable
    return result(**{name: read(document[name]) for name, read in readers.items() if name in document})


def write_json(value: Any) -> Any:
    """A result as plain JSON values under the API's names."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: write_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, (tuple, list)):
        return [write_json(item) for item in value]
    return value


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds. A datetime without a zone is local time."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """The moment of an RFC 3339 text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not know Z


@cache
def _readers_of(result: type[Any]) -> dict[str, Callable[[Any], Any]]:
    hints = typing.get_type_hints(result)
    return {field.name: _reader_of(hints[field.name]) for field in dataclasses.fields(result)}


def _reader_of(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        read = _reader_of(next(argument for argument in arguments if argument is not types.NoneType))
        return lambda value: None if value is None else read(value)
    if dataclasses.is_dataclass(hint):
        return lambda row: read_as(hint, row)  # type: ignore[arg-type]
    if origin is tuple:
        return lambda rows: tuple(read_as(arguments[0], row) for row in rows)
    return cast("Callable[[Any], Any]", read_time) if hint is datetime else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
