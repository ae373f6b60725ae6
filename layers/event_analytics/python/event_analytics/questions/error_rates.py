"""What fails: errors by event name with their rate, or by the error itself."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, convert

from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query
from event_analytics.questions.question import Asked, Found, Question, answer_at_once

_BY: Final = Parameter("by", Kind.CHOICE, "What a row is about.", default="event_name", choices=("event_name", "error"))
_COLUMNS: Final = {"event_name": ("event_name", "events", "errors", "error_rate"), "error": ("error", "errors")}


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
    """Errors by number. By error, the events without one are counted too and stand in the first row, as ''."""
    by = asked.options["by"]
    extra_rows = 1 if by == "error" else 0
    conditions = asked.conditions().and_(limit=asked.limit + extra_rows)
    sql = f"""
SELECT {by}, events, errors, errors / events AS error_rate,
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


def _shape(rows: Sequence[Mapping[str, Any]], asked: Asked) -> Found:
    totals = convert(rows[0], ErrorTotals) if rows else ErrorTotals()
    names = _COLUMNS[asked.options["by"]]
    shown = [{name: row[name] for name in names} for row in rows if row.get("error") != ""][: asked.limit]
    return Found(
        convert(shown, list[ErrorRow]), {name: getattr(totals, name) for name in ErrorTotals.__struct_fields__}
    )


ERRORS = Question(
    name="errors",
    route="/reports/errors",
    summary="Errors and their rate by event name, or the errors themselves by number.",
    parameters=(*WINDOW, LIMIT, _BY, *FILTERS),
    rows_name="errors",
    row=ErrorRow,
    totals=ErrorTotals,
    compile=compile_errors,
    answer=answer_at_once(compile_errors, _shape),
    columns=lambda asked: _COLUMNS[asked.options["by"]],
)
