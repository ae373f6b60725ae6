"""Which conversations stand out: by error rate, errors, events or latency.

What is dear is computed for the conversations that are shown, not for all. Without filters, those that come first by
their events and errors are found by the rollup of hours that are counted already; their figures always by the events.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, convert

from event_analytics.held_hours import Held
from event_analytics.questions.event_rows import format_ms
from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.rollup import CONVERSATION_HOURS
from event_analytics.rollup_query import Top, ask_rolled_up, compile_rolled_up, window_to_roll_up

_P95: Final = "quantileExact(0.95)(latency_ms)"  # null where no event carries a latency
_FIGURES: Final = f"""conversation_id, count() AS events, countIf(error != '') AS errors, errors / events AS error_rate,
    {_P95} AS p95_ms,
    toUnixTimestamp64Milli(min(timestamp)) AS started_ms, toUnixTimestamp64Milli(max(timestamp)) AS ended_ms"""
_RANKS: Final = {
    "error_rate": "countIf(error != '') / count() DESC, count() DESC",
    "errors": "countIf(error != '') DESC, count() DESC",
    "events": "count() DESC",
    "latency": f"{_P95} DESC NULLS LAST",
}
_ROLLED_UP_RANKS: Final = {
    "error_rate": "errors / events DESC, events DESC, conversation_id",
    "errors": "errors DESC, events DESC, conversation_id",
    "events": "events DESC, conversation_id",
}
_MAY_BE_SHOWN: Final = "conversation_id != '' AND events >= {min_events:UInt32}"
_BY: Final = Parameter(
    "by", Kind.CHOICE, "Which conversations come first.", default="error_rate", choices=tuple(_RANKS)
)
_MIN_EVENTS: Final = Parameter(
    "min_events", Kind.NUMBER, "Only conversations of so many events: one failure of one is a rate of 100 %.",
    default="1", maximum=1_000_000,
)  # fmt: skip


class ConversationRow(Struct, frozen=True):
    """One conversation, as far as it lies in the window."""

    conversation_id: Annotated[str, Meta(description="The conversation.")]
    events: Annotated[int, Meta(description="Number of its events.")]
    errors: Annotated[int, Meta(description="Number of its events with an error.")]
    error_rate: Annotated[float, Meta(description="errors / events.")]
    p95_ms: Annotated[float | None, Meta(description="95 in 100 took at most so long; null without latencies.")]
    started_at: Annotated[str, Meta(description="Time of its first event, RFC 3339.")]
    ended_at: Annotated[str, Meta(description="Time of its last event, RFC 3339.")]


def compile_top_conversations(asked: Asked) -> Query:
    """The first by rank with their figures."""
    return _compile_rolled_up(asked) or compile_counted(asked)


def _compile_rolled_up(asked: Asked, held: Held | None = None) -> Query | None:
    """None where rollups cannot answer, or would save nothing."""
    window, rank = window_to_roll_up(asked.window), _ROLLED_UP_RANKS.get(asked.options["by"])
    if window is None or rank is None or not asked.filters.is_empty:
        return None
    top = compile_rolled_up(CONVERSATION_HOURS, window, Top(rank, _MAY_BE_SHOWN, asked.limit), held)
    shown = _compile_figures(asked, "ranked.2", "ranked.1 AS is_whole, ")
    ranked = f"SELECT min(is_whole), groupArray(conversation_id) FROM ({top.sql})"  # noqa: S608 - constants of ours
    return Query(f"WITH ({ranked}) AS ranked{shown.sql}", {**top.parameters, **shown.parameters})


def compile_counted(asked: Asked) -> Query:
    """The first by rank with their figures, counted event by event."""
    ranked = asked.conditions().and_("conversation_id != ''", limit=asked.limit)
    shown = _compile_figures(asked, "(SELECT conversation_id FROM ranked)")
    sql = f"""
WITH ranked AS
(
    SELECT conversation_id
    FROM events FINAL
    {ranked.where()}
    GROUP BY conversation_id
    HAVING count() >= {{min_events:UInt32}}
    ORDER BY {_RANKS[asked.options["by"]]}, conversation_id
    LIMIT {{limit:UInt32}}
){shown.sql}"""  # noqa: S608 - constants of ours
    return Query(sql, {**ranked.parameters, **shown.parameters})


def _compile_figures(asked: Asked, shown: str, first: str = "") -> Query:
    """The end of a statement: figures of some conversations in order. `shown`: SQL of their ids."""
    conditions = asked.conditions().and_key(f"conversation_id IN {shown}", min_events=asked.options["min_events"])
    sql = f"""
SELECT {first}{_FIGURES}
FROM events FINAL
{conditions.where()}
GROUP BY conversation_id
HAVING count() >= {{min_events:UInt32}}
ORDER BY {_RANKS[asked.options["by"]]}, conversation_id
"""  # noqa: S608 - constants of ours
    return Query(sql, conditions.parameters)


def answer_top_conversations(asked: Asked, select: Select) -> Found:
    """The conversations; counted event by event where a rollup that should hold is not whole, or shows none."""
    rolled_up = ask_rolled_up(partial(_compile_rolled_up, asked), asked.window, select)
    return _shape(rolled_up or select(compile_counted(asked)).rows)


def _shape(rows: Sequence[Mapping[str, Any]]) -> Found:
    timed = [
        {**row, "started_at": format_ms(row["started_ms"]), "ended_at": format_ms(row["ended_ms"])} for row in rows
    ]
    return Found(convert(timed, list[ConversationRow]))


TOP_CONVERSATIONS = Question(
    name="top-conversations",
    route="/reports/top-conversations",
    summary="Conversations by error rate, errors, events or latency.",
    parameters=(*WINDOW, LIMIT, _BY, _MIN_EVENTS, *FILTERS),
    rows_name="conversations",
    row=ConversationRow,
    compile=compile_top_conversations,
    answer=answer_top_conversations,
)
