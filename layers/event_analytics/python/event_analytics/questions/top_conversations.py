"""Which conversations stand out: by error rate, errors, events or latency."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, convert

from event_analytics.questions.event_rows import format_ms
from event_analytics.questions.parameters import FILTERS, LIMIT, WINDOW, Kind, Parameter
from event_analytics.questions.query import Query
from event_analytics.questions.question import Asked, Found, Question, answer_at_once

_P95: Final = "quantileExact(0.95)(latency_ms)"  # null where no event carries a latency
_RANKS: Final = {
    "error_rate": "countIf(error != '') / count() DESC, count() DESC",
    "errors": "countIf(error != '') DESC, count() DESC",
    "events": "count() DESC",
    "latency": f"{_P95} DESC NULLS LAST",
}
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
    """The first by rank, then their figures: what is dear is computed for the rows that are shown, not for all."""
    conditions = asked.conditions()
    ranked = conditions.and_("conversation_id != ''", limit=asked.limit, min_events=asked.options["min_events"])
    shown = conditions.and_("conversation_id IN (SELECT conversation_id FROM ranked)")
    rank = f"{_RANKS[asked.options['by']]}, conversation_id"
    sql = f"""
WITH ranked AS
(
    SELECT conversation_id
    FROM events FINAL
    {ranked.where()}
    GROUP BY conversation_id
    HAVING count() >= {{min_events:UInt32}}
    ORDER BY {rank}
    LIMIT {{limit:UInt32}}
)
SELECT conversation_id, count() AS events, countIf(error != '') AS errors, errors / events AS error_rate,
    {_P95} AS p95_ms,
    toUnixTimestamp64Milli(min(timestamp)) AS started_ms, toUnixTimestamp64Milli(max(timestamp)) AS ended_ms
FROM events FINAL
{shown.where()}
GROUP BY conversation_id
ORDER BY {rank}
"""  # noqa: S608 - constants of ours
    return Query(sql, ranked.parameters)


def _shape(rows: Sequence[Mapping[str, Any]], _asked: Asked) -> Found:
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
    answer=answer_at_once(compile_top_conversations, _shape),
)
