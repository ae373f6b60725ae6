"""What a question is: how it is told apart, what it may be told, what its answer holds, and how it finds that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from event_analytics.questions.cursors import Cursor
from event_analytics.questions.parameters import Parameter
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.windows import Window


class Asked(NamedTuple):
    """One request, read. `filters`: without the window. `options`: path and query parameters that are read, by name.

    `fingerprint`: see `cursors`. Equal values have equal answers at one state of the store.
    """

    window: Window | None
    filters: Conditions
    limit: int
    cursor: Cursor | None
    options: Mapping[str, Any]
    fingerprint: bytes

    def conditions(self) -> Conditions:
        """Filters and window."""
        return self.filters.within(self.window)


class Found(NamedTuple):
    """An answer without its frame. `totals` stand beside the rows."""

    rows: Sequence[msgspec.Struct]
    totals: Mapping[str, Any] = {}
    next_cursor: str | None = None


@dataclass(frozen=True)
class Question:
    """One question of the catalogue.

    `rows_name`: the noun under which the rows stand; empty where the answer is the one row, without a frame.
    `totals`: what stands beside the rows, None for nothing. `compile`: the SQL, of several the first.
    `method`: a question asked by POST takes its parameters as members of a JSON object.
    `columns`: which fields of `row` an answer has, in CSV's order.
    """

    name: str
    route: str
    summary: str
    parameters: tuple[Parameter, ...]
    rows_name: str
    row: type[msgspec.Struct]
    compile: Callable[[Asked], Query]
    answer: Callable[[Asked, Select], Found]
    totals: type[msgspec.Struct] | None = None
    method: str = "GET"
    columns: Callable[[Asked], tuple[str, ...]] | None = None

    def columns_of(self, asked: Asked) -> tuple[str, ...]:
        """Names of the fields that rows of this answer have."""
        return self.columns(asked) if self.columns else self.row.__struct_fields__


def answer_at_once(
    compile_query: Callable[[Asked], Query], shape: Callable[[Sequence[Mapping[str, Any]], Asked], Found]
) -> Callable[[Asked, Select], Found]:
    """How a question of one SQL is answered."""

    def answer(asked: Asked, select: Select) -> Found:
        return shape(select(compile_query(asked)).rows, asked)

    return answer
