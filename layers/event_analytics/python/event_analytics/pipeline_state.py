"""How the pipeline fares, as far as ClickHouse and S3 can tell: what shows, what waits, what could not be loaded.

Each part is asked by itself: of one that does not answer the figures are null, and those of the other still stand.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Final

from msgspec import Meta, Struct

from event_analytics.dead_letters import DEAD_LETTERS_PREFIX
from event_analytics.ports import ObjectEntry, ObjectStore
from event_analytics.questions.query import Query, Select, clickhouse_time
from event_analytics.spool import SPOOL_PREFIX
from event_analytics.windows import format_instant

COUNTED_MAX: Final = 10_000  # objects of one prefix: ten calls of S3. Where there are more, a person looks anyway
RECENT: Final = timedelta(days=1)

# Without FINAL: an older version of a row was accepted at the same time.
_NEWEST: Final = """
SELECT max(accepted_us) AS newest_us
FROM events
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
"""
_PENDING: Final = "SELECT count() AS pending FROM pending_changes FINAL WHERE is_folded = 0"


class PipelineState(Struct, frozen=True, kw_only=True):
    """The state at one moment."""

    generated_at: Annotated[str, Meta(description="When it was asked, RFC 3339.")]
    newest_loaded_at: Annotated[
        str | None, Meta(description="When the newest event that shows was accepted; of events of the last day.")
    ] = None
    freshness_ms: Annotated[
        int | None, Meta(description="How long ago that was: while events come in, at most what they take to show.")
    ] = None
    pending_changes: Annotated[int | None, Meta(description="Updates and deletes that no event shows yet.")] = None
    dead_letters_24h: Annotated[
        int | None, Meta(description=f"Records that could not be loaded within 24 hours; counted to {COUNTED_MAX:,}.")
    ] = None
    spooled_objects: Annotated[
        int | None, Meta(description=f"Requests in S3 that Kafka does not have yet; counted to {COUNTED_MAX:,}.")
    ] = None


class StoredState(Struct, frozen=True):
    """What ClickHouse knows. `newest_us`: Unix microseconds, 0 for none."""

    newest_us: int
    pending_changes: int


class ObjectsState(Struct, frozen=True):
    """What S3 knows."""

    dead_letters_24h: int
    spooled_objects: int


def read_stored_state(select: Select, now: datetime) -> StoredState:
    """What shows, and what waits in the store."""
    bounds = {"start": clickhouse_time(now - RECENT), "end": clickhouse_time(now + RECENT)}
    newest = select(Query(_NEWEST, bounds)).rows[0]["newest_us"]
    return StoredState(newest, select(Query(_PENDING, {})).rows[0]["pending"])


def read_objects_state(objects: ObjectStore, now: datetime) -> ObjectsState:
    """What waits or stays in S3."""
    letters = sum(entry.written_at >= now - RECENT for entry in _first(objects, DEAD_LETTERS_PREFIX))
    return ObjectsState(letters, sum(1 for _ in _first(objects, SPOOL_PREFIX)))


def _first(objects: ObjectStore, prefix: str) -> Iterator[ObjectEntry]:
    return islice(objects.list(prefix), COUNTED_MAX)


def describe_state(now: datetime, stored: StoredState | None, objects: ObjectsState | None) -> PipelineState:
    """The answer; None stands for a part that did not answer."""
    newest_us = stored.newest_us if stored else 0
    newest = datetime.fromtimestamp(newest_us / 1_000_000, tz=UTC) if newest_us else None
    return PipelineState(
        generated_at=format_instant(now),
        newest_loaded_at=format_instant(newest) if newest else None,
        freshness_ms=max(0, round((now - newest).total_seconds() * 1_000)) if newest else None,
        pending_changes=stored.pending_changes if stored else None,
        dead_letters_24h=objects.dead_letters_24h if objects else None,
        spooled_objects=objects.spooled_objects if objects else None,
    )
