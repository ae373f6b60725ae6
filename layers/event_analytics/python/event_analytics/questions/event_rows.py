"""An event as answers show it: RFC 3339 time, null for what it lacks, JSON objects as they were sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from event_analytics.windows import format_instant

_FOLDED_FROM: Final = 2**52  # versions of rows that no fold has touched lie below (schema/migrations/0001)
COLUMNS: Final = (
    "id, user_id, conversation_id, event_name, toUnixTimestamp64Milli(timestamp) AS timestamp_ms, error, latency_ms, "
    f"properties, conversation_metadata, version > {_FOLDED_FROM} AS is_folded"
)
TEXTS: Final = ("input", "output")  # wide columns of the same table, read where they are asked for
VECTORS: Final = ("input_embeddings", "output_embeddings")  # of a table of their own


class EventRow(Struct, frozen=True, kw_only=True):
    """One event."""

    id: Annotated[str, Meta(description="UUID, the idempotency key.")]
    user_id: Annotated[str | None, Meta(description="Who did it.")]
    conversation_id: Annotated[str | None, Meta(description="The conversation, or session.")]
    event_name: Annotated[str, Meta(description="What happened.")]
    timestamp: Annotated[str, Meta(description="When it happened, RFC 3339 in UTC with milliseconds.")]
    error: Annotated[str | None, Meta(description="What went wrong; null is success.")]
    latency_ms: Annotated[float | None, Meta(description="How long it took.")]
    properties: Annotated[msgspec.Raw, Meta(description="The sender's own object, or null.")]
    conversation_metadata: Annotated[msgspec.Raw, Meta(description="Object about the conversation, or null.")]
    input: Annotated[str | None, Meta(description="What went in; with include=input.")] | UnsetType = UNSET
    output: Annotated[str | None, Meta(description="What came out; with include=output.")] | UnsetType = UNSET
    input_embeddings: (
        Annotated[list[float] | None, Meta(description="Vector of the input; with include=embeddings.")] | UnsetType
    ) = UNSET
    output_embeddings: (
        Annotated[list[float] | None, Meta(description="Vector of the output; with include=embeddings.")] | UnsetType
    ) = UNSET


ALWAYS: Final = tuple(name for name in EventRow.__struct_fields__ if name not in (*TEXTS, *VECTORS))


def columns_with(include: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the fields that events have with `include`."""
    texts = tuple(name for name in TEXTS if name in include)
    return (*ALWAYS, *texts, *(VECTORS if "embeddings" in include else ()))


def select_list(include: tuple[str, ...]) -> str:
    """What to select for `describe_event`; no more than is shown."""
    return ", ".join((COLUMNS, *(name for name in TEXTS if name in include)))


def describe_event(row: Mapping[str, Any]) -> EventRow:
    """The event in a row of `select_list`, with what is in `row` besides of texts and vectors."""
    return EventRow(
        id=row["id"],
        user_id=row["user_id"] or None,
        conversation_id=row["conversation_id"] or None,
        event_name=row["event_name"],
        timestamp=format_ms(row["timestamp_ms"]),
        error=row["error"] or None,
        latency_ms=row["latency_ms"],
        properties=_describe_properties(row["properties"], is_folded=bool(row["is_folded"])),
        conversation_metadata=msgspec.Raw((row["conversation_metadata"] or "null").encode()),
        **{name: row[name] for name in TEXTS if name in row},
        **{name: row[name] or None for name in VECTORS if name in row},
    )


def _describe_properties(text: str, *, is_folded: bool) -> msgspec.Raw:
    if is_folded and "null" in text:
        # A merge patch takes a key away by null, and the store keeps that null (docs/decisions/0008).
        return msgspec.Raw(msgspec.json.encode(drop_nulls(msgspec.json.decode(text))))
    return msgspec.Raw((text or "null").encode())


def drop_nulls(document: object) -> object:
    """The document without members that are null, at any depth; lists keep theirs."""
    if not isinstance(document, dict):
        return document
    return {name: drop_nulls(value) for name, value in document.items() if value is not None}


def format_ms(timestamp_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return format_instant(datetime.fromtimestamp(timestamp_ms / 1_000, tz=UTC))
