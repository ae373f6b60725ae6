"""What fails: errors by event name with their rate, or by the error itself.

By event name, hours that are counted already are taken from their rollup unless another filter than the name is given.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, convert

from event_analytics.held_hours import Held
from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.rollup import EVENT_NAME_HOURS
from event_analytics.rollup_query import Top, ask_rolled_up, compile_rolled_up, window_to_roll_up

_BY: Final = Parameter("by", Kind.CHOICE, "What a row is about.", default="event_name", choices=("event_name", "error"))
_COLUMNS: Final = {"event_name": ("event_name", "events", "errors", "error_rate"), "error": ("error", "errors")}
_RANK: Final = "errors DESC, event_name"
_NAME_FILTERS: Final = ((), ("event_name = {event_name:String}",))  # what a rollup by event name can be filtered by


class ErrorRow(Struct, frozen=True, kw_only=True):
    """One event name, or one error."""

    event_name: Annotated[str, Meta(description="Where asked by it.")] | UnsetType = UNSET
    error: Annotated[str, Meta(description="Where asked by it.")] | UnsetType = UNSET
    events: Annotated[int, Meta(description="Number of events; by event name only.")] | UnsetType = UNSET
    errors: Annotated[int, Meta(description="Number of events with an error.")]
    error_rate: Annotated[float, Meta(description="errors / events; by event name only.")] | UnsetType = UNSET


class ErrorTotals(Struct, frozen=True):
    """Over the whole window, shown or not."""

    events_total: Annotated[int, Meta(description="Number of events.")] = 0
    errors_total: Annotated[int, Meta(description="Number of events with an error.")] = 0


def compile_errors(asked: Asked) -> Query:
    """Errors by number."""
    return _compile_rolled_up(asked) or compile_counted(asked)


def _compile_rolled_up(asked: Asked, held: Held | None = None) -> Query | None:
    """None where rollups cannot answer, or would save nothing."""
    window, filters = window_to_roll_up(asked.window), asked.filters
    if window is None or asked.options["by"] != "event_name" or filters.sql not in _NAME_FILTERS or filters.of_key:
        return None
    top = Top(_RANK, " AND ".join(filters.sql) or "true", asked.limit, filters.parameters)
    return compile_rolled_up(EVENT_NAME_HOURS, window, top, held)


def compile_counted(asked: Asked) -> Query:
    """As above, counted event by event. By error, events without one are counted too, as '' in the first row."""
    by = asked.options["by"]
    extra_rows = 1 if by == "error" else 0
    conditions = asked.conditions().and_(limit=asked.limit + extra_rows)
    sql = f"""
SELECT {by}, events, errors,
    sum(events) OVER () AS events_total, sum(errors) OVER () AS errors_total
FROM
(
    SELECT {by}, count() AS events, countIf(error != '') AS errors
    FROM events FINAL
    {conditions.where()}
    GROUP BY {by}
)
ORDER BY {"error = '' DESC, " if extra_rows else ""}errors DESC, {by}
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - `by` is one of our choices
    return Query(sql, conditions.parameters)


def answer_errors(asked: Asked, select: Select) -> Found:
    """The errors; counted event by event where a rollup that should hold is not whole."""
    rolled_up = ask_rolled_up(partial(_compile_rolled_up, asked), asked.window, select)
    rows = rolled_up or select(compile_counted(asked)).rows
    shown = [_describe(row, asked) for row in rows if row.get("error") != ""][: asked.limit]
    first = rows[0] if rows else {}
    return Found(convert(shown, list[ErrorRow]), {name: first.get(name, 0) for name in ErrorTotals.__struct_fields__})


def _describe(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    figures = {**row, "error_rate": row["errors"] / row["events"]}
    return {name: figures[name] for name in _COLUMNS[asked.options["by"]]}


ERRORS = Question(
    name="errors",
    route="/reports/errors",
    summary="Errors and their rate by event name, or the errors themselves by number.",
    parameters=(*WINDOW, LIMIT, _BY, *FILTERS),
    rows_name="errors",
    row=ErrorRow,
    totals=ErrorTotals,
    compile=compile_errors,
    answer=answer_errors,
    columns=lambda asked: _COLUMNS[asked.options["by"]],
)
