"""Apply pending migrations of `schema/migrations/` to a ClickHouse: `python -m scripts.migrate [--url URL] [--list]`.

Without --url: the running embedded stack's. `--form` chooses the engines; `--print` shows the statements of a form and
touches nothing. Exit code 0 when nothing is pending any more, 1 when a statement failed.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending, find_pending
from event_analytics.cluster_form import ClusterForm, render_migration, render_statement
from event_analytics.errors import StoreUnavailable
from event_analytics.migrations import CREATE_JOURNAL, read_migrations
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection
from scripts.settings import OperatorSettings

MIGRATIONS: Final = Path(__file__).parents[1] / "schema" / "migrations"


def main() -> int:
    """The exit code."""
    given = _parse()
    form = ClusterForm(given.form)
    if given.print:
        print(render_all(form))
        return 0
    url = given.url or read_connection(LocalSettings.from_env().state_dir).clickhouse_url
    store = ClickHouseEventStore(url, given.user, OperatorSettings.from_env().clickhouse_password)
    try:
        if given.list:
            print("\n".join(migration.name for migration in find_pending(store, MIGRATIONS, form)) or "nothing pending")
            return 0
        print(f"{apply_pending(store, MIGRATIONS, print, form)} applied")
    except StoreUnavailable as error:
        print(f"a migration failed: {error}", file=sys.stderr)
        return 1
    return 0


def render_all(form: ClusterForm) -> str:
    """The whole schema as statements of a form, the journal of migrations first."""
    migrations = [render_migration(migration, form) for migration in read_migrations(MIGRATIONS)]
    journal = "\n\n".join(f"{statement.strip()};" for statement in render_statement(CREATE_JOURNAL, form))
    parts = [f"-- {one.name}\n" + "\n\n".join(f"{statement};" for statement in one.statements) for one in migrations]
    return "\n\n".join([journal, *parts])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Apply pending ClickHouse migrations.")
    parser.add_argument("--url", help="http://host:port/database; without it: the running embedded stack")
    parser.add_argument("--user", help="with the password that CLICKHOUSE_PASSWORD holds")
    parser.add_argument("--list", action="store_true", help="only name what is pending")
    parser.add_argument("--print", action="store_true", help="show all statements of the form, touch nothing")
    forms = [str(form) for form in ClusterForm]
    parser.add_argument("--form", choices=forms, default=forms[0], help="engines: docs/clickhouse_cluster.md")
    given = parser.parse_args()
    if given.form == ClusterForm.SHARDED and not given.print:
        parser.error(
            "the functions do not work on shards: --print shows the schema, docs/clickhouse_cluster.md the rest"
        )
    return given


if __name__ == "__main__":
    sys.exit(main())
