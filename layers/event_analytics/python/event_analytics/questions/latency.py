"""How long things take: exact quantiles of `latency_ms` by event name, by conversation, or by both."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType, convert

from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query
from event_analytics.questions.question import Asked, Found, Question, answer_at_once

_BOTH: Final = "event_name,conversation_id"
_BY: Final = Parameter(
    "by",
    Kind.CHOICE,
    "What a row is about. By event name, rows stand by name; else the slowest (p95) first.",
    default="event_name",
    choices=("event_name", "conversation_id", _BOTH),
)
_QUANTILES: Final = ("p50_ms", "p95_ms", "p99_ms")


class LatencyRow(Struct, frozen=True, kw_only=True):
    """One event name, one conversation, or one event name in one conversation."""

    event_name: Annotated[str, Meta(description="Where asked by it.")] | UnsetType = UNSET
    conversation_id: Annotated[str, Meta(description="Where asked by it.")] | UnsetType = UNSET
    events: Annotated[int, Meta(description="Number of events that carry a latency.")]
    p50_ms: Annotated[float, Meta(description="Median; quantiles are values that occurred.")]
    p95_ms: Annotated[float, Meta(description="95 in 100 took at most so long.")]
    p99_ms: Annotated[float, Meta(description="99 in 100 took at most so long.")]


def compile_latency(asked: Asked) -> Query:
    """Quantiles over the events that carry a latency; grouped by conversation, those that have one."""
    keys = asked.options["by"].replace(",", ", ")
    conditions = asked.conditions().and_("latency_ms IS NOT NULL", limit=asked.limit)
    if "conversation_id" in keys:
        conditions = conditions.and_("conversation_id != ''")
    sql = f"""
SELECT {keys}, count() AS events, quantilesExact(0.5, 0.95, 0.99)(assumeNotNull(latency_ms)) AS quantiles
FROM events FINAL
{conditions.where()}
GROUP BY {keys}
ORDER BY {keys if keys == "event_name" else f"quantiles[2] DESC, {keys}"}
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - `keys` is one of our choices
    return Query(sql, conditions.parameters)


def _shape(rows: Sequence[Mapping[str, Any]], _asked: Asked) -> Found:
    flat = [{**row, **dict(zip(_QUANTILES, row["quantiles"], strict=True))} for row in rows]
    return Found(convert(flat, list[LatencyRow]))


LATENCY = Question(
    name="latency",
    route="/reports/latency",
    summary="Exact quantiles of latency, by event name, by conversation, or by both.",
    parameters=(*WINDOW, LIMIT, _BY, *FILTERS),
    rows_name="latency",
    row=LatencyRow,
    compile=compile_latency,
    answer=answer_at_once(compile_latency, _shape),
    columns=lambda asked: (*asked.options["by"].split(","), "events", *_QUANTILES),
)
