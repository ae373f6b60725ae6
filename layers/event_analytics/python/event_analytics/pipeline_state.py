"""How the pipeline fares, as far as ClickHouse and S3 can tell: what shows, what waits, what could not be loaded.

Each part is asked by itself: of one that does not answer the figures are null, and those of the other still stand.
What Kafka has is known from the newest measurement that S3 keeps.
"""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Final

from msgspec import Meta, Struct

from event_analytics.dead_letters import LETTER_HOURS_PREFIX, hour_prefix
from event_analytics.kept_lag import LAG_AGE_MAX, KeptLag
from event_analytics.ports import ObjectStore
from event_analytics.questions.query import Query, Select, clickhouse_time
from event_analytics.spool import SPOOL_PREFIX
from event_analytics.windows import format_instant

COUNTED_MAX: Final = 10_000  # objects of one prefix: ten calls of S3. Where there are more, a person looks anyway
RECENT: Final = timedelta(days=1)

# Without FINAL: an older version of a row was accepted at the same time. Rows are sorted by event time, which bounds
# what is read; the newest acceptance of all would be a scan of the table.
_NEWEST: Final = """
SELECT max(accepted_us) AS newest_us
FROM events
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')}
"""
_PENDING: Final = "SELECT count() AS pending FROM pending_changes FINAL WHERE is_folded = 0"
_KNOWN_MINUTES: Final = int(LAG_AGE_MAX.total_seconds() // 60)


class PipelineState(Struct, frozen=True, kw_only=True):
    """The state at one moment."""

    generated_at: Annotated[str, Meta(description="When it was asked, RFC 3339.")]
    newest_loaded_at: Annotated[
        str | None,
        Meta(
            description="When the newest event that shows was accepted, of events dated (`timestamp`) from a day ago "
            "to a day ahead; null for none, whatever was accepted with other dates."
        ),
    ] = None
    freshness_ms: Annotated[
        int | None,
        Meta(description="How long ago that was: while such events come in, at most what they take to show."),
    ] = None
    load_lag_records: Annotated[
        int | None,
        Meta(
            description="Records in Kafka that load had not taken at `lag_measured_at`; null where the newest "
            f"measurement is over {_KNOWN_MINUTES} minutes old."
        ),
    ] = None
    archive_lag_records: Annotated[int | None, Meta(description="The same of archive.")] = None
    lag_measured_at: Annotated[
        str | None, Meta(description="When the records in Kafka were counted last, as is done every minute.")
    ] = None
    load_stalled_since: Annotated[
        str | None,
        Meta(
            description="Since when records wait and load takes none, by every measurement from then on; null where it "
            "takes some, or none wait, or the newest measurement is too old."
        ),
    ] = None
    pending_changes: Annotated[int | None, Meta(description="Updates and deletes that no event shows yet.")] = None
    dead_letters_24h: Annotated[
        int | None,
        Meta(
            description="Records that could not be loaded and were not sent again, of the last 24 hours, counted from "
            f"the full hour before on; counted to {COUNTED_MAX:,}."
        ),
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
    spooled = sum(1 for _ in islice(objects.list(SPOOL_PREFIX), COUNTED_MAX))
    return ObjectsState(_count_letters(objects, now - RECENT), spooled)


def _count_letters(objects: ObjectStore, since: datetime) -> int:
    """Those of the hour of `since` and later. A batch that was tried again may have left its letters in two hours."""
    first = hour_prefix(since)
    letters: set[str] = set()
    for entry in objects.list(LETTER_HOURS_PREFIX, first):
        letters.add(entry.name[len(first) :])
        if len(letters) == COUNTED_MAX:
            break
    return len(letters)


def describe_state(
    now: datetime, stored: StoredState | None, objects: ObjectsState | None, lag: KeptLag | None
) -> PipelineState:
    """The answer; None stands for a part that did not answer."""
    newest_us = stored.newest_us if stored else 0
    newest = datetime.fromtimestamp(newest_us / 1_000_000, tz=UTC) if newest_us else None
    is_known = lag is not None and now - _instant_of(lag.measured_ms) <= LAG_AGE_MAX
    known = lag if is_known else None
    return PipelineState(
        generated_at=format_instant(now),
        newest_loaded_at=format_instant(newest) if newest else None,
        freshness_ms=max(0, round((now - newest).total_seconds() * 1_000)) if newest else None,
        load_lag_records=known.load if known else None,
        archive_lag_records=known.archive if known else None,
        lag_measured_at=format_instant(_instant_of(lag.measured_ms)) if lag else None,
        load_stalled_since=format_instant(_instant_of(known.load_stalled_ms))
        if known and known.load_stalled_ms
        else None,
        pending_changes=stored.pending_changes if stored else None,
        dead_letters_24h=objects.dead_letters_24h if objects else None,
        spooled_objects=objects.spooled_objects if objects else None,
    )


def _instant_of(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1_000, tz=UTC)
