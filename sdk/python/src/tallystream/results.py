"""What reads return: frozen dataclasses with the API's names. Times are aware datetimes in UTC, units stand last."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event. What it lacks is None; so are `input`, `output` and embeddings unless they were asked for."""

    id: str
    event_name: str
    timestamp: datetime
    user_id: str | None = None
    conversation_id: str | None = None
    error: str | None = None
    latency_ms: float | None = None
    properties: dict[str, Any] | None = None
    conversation_metadata: dict[str, Any] | None = None
    input: str | None = None
    output: str | None = None
    input_embeddings: list[float] | None = None
    output_embeddings: list[float] | None = None


@dataclass(frozen=True)
class SimilarEvent(Event):
    """An event and how close it is: cosine similarity, 1 for the same direction."""

    similarity: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """The frame of every report. `start` to `end` is half-open, by event time."""

    exact: bool
    generated_at: datetime
    start: datetime
    end: datetime
    next_cursor: str | None = None
    rows_read: int | None = None
    elapsed_ms: float | None = None


@dataclass(frozen=True)
class UserCount:
    """One user's events."""

    user_id: str
    events: int


@dataclass(frozen=True, kw_only=True)
class TopUsers(Report):
    """Users by number of events, then by id; the totals are of the whole window."""

    users: tuple[UserCount, ...]
    events_total: int
    users_total: int


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Exact quantiles of one group; what it was not grouped by is None."""

    events: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    event_name: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class LatencyReport(Report):
    """Latencies by event name, by conversation, or by both."""

    latency: tuple[Latency, ...]


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors of one event name; or, grouped by error, how often that one came (then `events` is None)."""

    errors: int
    events: int | None = None
    error_rate: float | None = None
    event_name: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class ErrorReport(Report):
    """Errors, most first; the totals are of the whole window."""

    errors: tuple[Errors, ...]
    events_total: int
    errors_total: int


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One session in numbers."""

    conversation_id: str
    events: int
    errors: int
    error_rate: float
    p95_ms: float | None
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, kw_only=True)
class TopConversations(Report):
    """Sessions, highest first by what was asked for."""

    conversations: tuple[Conversation, ...]


@dataclass(frozen=True, kw_only=True)
class VolumeBucket:
    """One interval from `start` on."""

    start: datetime
    events: int
    users: int
    errors: int
    error_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, kw_only=True)
class VolumeTotals:
    """The figures of a bucket over the whole window: users are counted once, quantiles are exact."""

    events: int
    users: int
    errors: int
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Volume(Report):
    """A time series without gaps: empty intervals are there with zeros."""

    interval: str
    totals: VolumeTotals
    series: tuple[VolumeBucket, ...]


@dataclass(frozen=True, kw_only=True)
class SimilarEvents:
    """Events by similarity, closest first."""

    events: tuple[SimilarEvent, ...]
    exact: bool = True
    generated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the API answers questions, and what an acknowledgement of its Kafka survives."""

    status: str
    clickhouse: str
    kafka_durability: str
    version: str = ""
    request_encodings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """How far loading is behind, as far as ClickHouse and S3 know it; None for what they do not."""

    newest_loaded_at: datetime | None = None
    freshness_ms: float | None = None
    load_lag_records: int | None = None
    archive_lag_records: int | None = None
    lag_measured_at: datetime | None = None
    load_stalled_since: datetime | None = None
    dead_letters_24h: int | None = None
    pending_changes: int | None = None
    spooled_objects: int | None = None
