"""Migrations run against ClickHouse, each recorded in `schema_migrations` once all its statements are done.

Retention is no migration: its numbers may change with every deploy, so the tables are asked what they have.
"""

from collections.abc import Callable
from pathlib import Path

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.cluster_form import ClusterForm, render_migration, render_statement
from event_analytics.migrations import (
    CREATE_JOURNAL,
    INSERT_JOURNAL,
    SELECT_JOURNAL,
    Migration,
    pending,
    read_migrations,
)
from event_analytics.retention import SELECT_TABLES, Retention, compile_ttls


def find_pending(store: ClickHouseEventStore, folder: Path, form: ClusterForm = ClusterForm.SINGLE) -> list[Migration]:
    """Migrations of the folder that this database has not had, in order, in the form asked for."""
    for statement in render_statement(CREATE_JOURNAL, form):
        store.command(statement)
    applied = {row["name"] for row in store.select(SELECT_JOURNAL, {})}
    return [render_migration(migration, form) for migration in pending(read_migrations(folder), applied)]


def apply_pending(
    store: ClickHouseEventStore,
    folder: Path,
    report: Callable[[str], None],
    form: ClusterForm = ClusterForm.SINGLE,
) -> int:
    """Number of migrations applied now; `report` gets the name of each.

    Raises:
        StoreUnavailable: a statement failed. What ran before it is recorded; its own migration runs again as a whole.
    """
    migrations = find_pending(store, folder, form)
    for migration in migrations:
        for statement in migration.statements:
            store.command(statement)
        store.command(INSERT_JOURNAL.format(name=migration.name))
        report(migration.name)
    return len(migrations)


def apply_retention(store: ClickHouseEventStore, retention: Retention) -> list[str]:
    """Statements that were needed to make the tables forget what they should, in the order in which they ran.

    Raises:
        StoreUnavailable: a statement failed; those before it count.
    """
    tables = {row["name"]: row["create_table_query"] for row in store.select(SELECT_TABLES, {})}
    statements = compile_ttls(retention, tables)
    for statement in statements:
        store.command(statement)
    return statements
