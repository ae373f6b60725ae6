"""How long each kind of data is kept, and what makes ClickHouse and the answers obey. ADR 0027.

A number of days, 0 for ever. Events go by whole weeks, as their table is partitioned: a week goes when its last event
has been kept for the days promised. The same week's embeddings go with it, or before. What an answer counts never
depends on whether ClickHouse has removed a week already: `floor_of` bounds every window. Changes have to be kept at
least as long as events and archive: without them a create that comes again would undo what was changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from event_analytics.errors import Reason, Refused
from event_analytics.windows import Window, format_instant

WEEK_DAYS: Final = 7
ROLLUP_MARGIN_DAYS: Final = 8  # counts outlive the events they are counts of, so that a rollup is never half there
_ROLLUPS: Final = ("hour_marks", "user_hours", "event_name_hours", "conversation_hours", "rollup_generations")

SELECT_TABLES: Final = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"


class RetentionRefused(ValueError):  # noqa: N818 - names the outcome
    """The numbers of days contradict each other; the message says which and why."""


class Retention(NamedTuple):
    """Days, 0 for ever; of embeddings 0 means as long as their events."""

    events_days: int = 0
    embeddings_days: int = 0
    changes_days: int = 0
    archive_days: int = 0


def check_retention(retention: Retention) -> Retention:
    """The same.

    Raises:
        RetentionRefused: changes would go before events or archived records that they change.
    """
    longest = max((retention.events_days, retention.archive_days), key=_for_ever_last)
    if _for_ever_last(retention.changes_days) < _for_ever_last(longest):
        raise RetentionRefused(
            f"changes are kept for {_describe(retention.changes_days)}, what they change for {_describe(longest)}: "
            "a create that is replayed would undo its changes. Keep changes at least as long as events and archive"
        )
    return retention


def floor_of(now: datetime, days: int) -> datetime | None:
    """Before this instant, a Monday at 00:00 UTC, no event is answered for any more; None where all are kept."""
    if not days:
        return None
    kept_from = now.astimezone(UTC) - timedelta(days=days)
    midnight = kept_from.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def clip_window(window: Window | None, floor: datetime | None) -> Window | None:
    """The part of a window that is kept.

    Raises:
        Refused: window_invalid: nothing of it is.
    """
    if window is None or floor is None or window.start >= floor:
        return window
    if window.end <= floor:
        raise Refused(Reason.WINDOW_INVALID, f"events before {format_instant(floor)} are not kept any more", "end")
    return window._replace(start=floor)


def ttls_of(retention: Retention) -> dict[str, str]:
    """Table -> its TTL expression, "" for none, as ClickHouse itself writes it."""
    embeddings_days = min((retention.embeddings_days, retention.events_days), key=_for_ever_last)
    rollup_days = retention.events_days and retention.events_days + ROLLUP_MARGIN_DAYS
    return {
        "events": _by_week("timestamp", retention.events_days),
        "event_embeddings": _by_week("timestamp", embeddings_days),
        "event_changes": _ttl("toDateTime(intDiv(version, 1000000))", retention.changes_days),
        **{table: _by_week("hour", rollup_days) for table in _ROLLUPS},
    }


def compile_ttls(retention: Retention, tables: Mapping[str, str]) -> list[str]:
    """Statements that are still needed. `tables`: name -> its CREATE TABLE as ClickHouse tells it."""
    statements = []
    for table, ttl in ttls_of(retention).items():
        create = tables.get(table)
        if create is None or (f"TTL {ttl}" in create if ttl else " TTL " not in create):
            continue
        if ttl:
            # What lies there learns its time in the background, without being written anew.
            statements.append(f"ALTER TABLE {table} MODIFY SETTING materialize_ttl_recalculate_only = 1")
            statements.append(f"ALTER TABLE {table} MODIFY TTL {ttl}")
        else:
            statements.append(f"ALTER TABLE {table} REMOVE TTL")
    return statements


def _by_week(column: str, days: int) -> str:
    return _ttl(f"toDateTime(toMonday({column}), 'UTC')", days and days + WEEK_DAYS)


def _ttl(instant: str, days: int) -> str:
    return f"{instant} + toIntervalDay({days})" if days else ""


def _for_ever_last(days: int) -> float:
    return days or float("inf")


def _describe(days: int) -> str:
    return f"{days} days" if days else "ever"
