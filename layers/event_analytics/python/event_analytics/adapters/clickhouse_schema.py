"""Migrations run against ClickHouse, each recorded in `schema_migrations` once all its statements are done."""

from collections.abc import Callable
from pathlib import Path

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.migrations import (
    CREATE_JOURNAL,
    INSERT_JOURNAL,
    SELECT_JOURNAL,
    Migration,
    pending,
    read_migrations,
)


def find_pending(store: ClickHouseEventStore, folder: Path) -> list[Migration]:
    """Migrations of the folder that this database has not had, in order."""
    store.command(CREATE_JOURNAL)
    applied = {row["name"] for row in store.select(SELECT_JOURNAL, {})}
    return pending(read_migrations(folder), applied)


def apply_pending(store: ClickHouseEventStore, folder: Path, report: Callable[[str], None]) -> int:
    """Number of migrations applied now; `report` gets the name of each.

    Raises:
        StoreUnavailable: a statement failed. What ran before it is recorded; its own migration runs again as a whole.
    """
    migrations = find_pending(store, folder)
    for migration in migrations:
        for statement in migration.statements:
            store.command(statement)
        store.command(INSERT_JOURNAL.format(name=migration.name))
        report(migration.name)
    return len(migrations)
