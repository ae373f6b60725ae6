"""Every read as a question. `Client` and `AsyncClient` ask them; this says what they ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal
from uuid import UUID

from tallystream import results
from tallystream.encoding import pack_embedding
from tallystream.questions import Include, Question, ask_for, members_of, path_of

LatencyBy = Literal["event_name", "conversation_id", "event_name,conversation_id"]
ErrorsBy = Literal["event_name", "error"]
ConversationsBy = Literal["error_rate", "errors", "events", "latency"]
Interval = Literal["auto", "minute", "hour", "day"]
Order = Literal["asc", "desc"]
Embedded = Literal["input", "output"]
WAIT_SECONDS_MAX = 5.0  # the API's


def top_users(limit: int, filters: Mapping[str, Any]) -> Question[results.TopUsers]:
    """`GET /reports/top-users`."""
    return ask_for(results.TopUsers, "/reports/top-users", filters, limit=limit)


def latency(by: LatencyBy, limit: int, filters: Mapping[str, Any]) -> Question[results.LatencyReport]:
    """`GET /reports/latency`."""
    return ask_for(results.LatencyReport, "/reports/latency", filters, by=by, limit=limit)


def errors(by: ErrorsBy, limit: int, filters: Mapping[str, Any]) -> Question[results.ErrorReport]:
    """`GET /reports/errors`."""
    return ask_for(results.ErrorReport, "/reports/errors", filters, by=by, limit=limit)


def top_conversations(
    by: ConversationsBy, min_events: int, limit: int, filters: Mapping[str, Any]
) -> Question[results.TopConversations]:
    """`GET /reports/top-conversations`."""
    path = "/reports/top-conversations"
    return ask_for(results.TopConversations, path, filters, by=by, min_events=min_events, limit=limit)


def volume(interval: Interval, filters: Mapping[str, Any]) -> Question[results.Volume]:
    """`GET /reports/volume`."""
    return ask_for(results.Volume, "/reports/volume", filters, interval=interval)


def events(
    order: Order, include: Iterable[Include], page_size: int, filters: Mapping[str, Any]
) -> Question[results.Event]:
    """`GET /events`."""
    return ask_for(results.Event, "/events", filters, order=order, include=_list(include), limit=page_size)


def conversation(conversation_id: str, include: Iterable[Include], page_size: int) -> Question[results.Event]:
    """`GET /conversations/{id}/events`."""
    path = path_of("/conversations/{id}/events", conversation_id)
    return ask_for(results.Event, path, {}, include=_list(include), limit=page_size)


def event(event_id: str | UUID, wait_seconds: float) -> Question[results.Event]:
    """`GET /event/{id}`."""
    wait_ms = round(min(max(wait_seconds, 0.0), WAIT_SECONDS_MAX) * 1_000)
    return ask_for(results.Event, path_of("/event/{id}", str(event_id)), {}, wait_ms=wait_ms or None)


def similar(
    embedding: Iterable[float] | str | None,
    event_id: str | UUID | None,
    of: Embedded,
    limit: int,
    filters: Mapping[str, Any],
) -> Question[results.SimilarEvents]:
    """`POST /events/similar`.

    Raises:
        TypeError: not exactly one of `embedding` and `event_id` is given.
    """
    if (embedding is None) == (event_id is None):
        raise TypeError("give either an embedding or an event_id")
    near = {"id": str(event_id)} if embedding is None else {"embedding": pack_embedding(embedding)}
    document = {**near, "of": of, "limit": limit, **members_of(filters)}
    return Question(results.SimilarEvents, "/events/similar", method="POST", document=document)


def health() -> Question[results.Health]:
    """`GET /health`."""
    return Question(results.Health, "/health")


def pipeline() -> Question[results.Pipeline]:
    """`GET /reports/pipeline`."""
    return Question(results.Pipeline, "/reports/pipeline")


def _list(include: Iterable[Include]) -> str | None:
    return ",".join(include) or None
