"""Apply pending migrations of `schema/migrations/` to a ClickHouse: `python -m scripts.migrate [--url URL] [--list]`.

Without --url: the running embedded stack's. Exit code 0 when nothing is pending any more, 1 when a statement failed.
"""

import argparse
import sys
from pathlib import Path

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending, find_pending
from event_analytics.errors import StoreUnavailable
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection

MIGRATIONS = Path(__file__).parents[1] / "schema" / "migrations"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description="Apply pending ClickHouse migrations.")
    parser.add_argument("--url", help="http://host:port/database; without it: the running embedded stack")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--list", action="store_true", help="only name what is pending")
    arguments = parser.parse_args()
    url = arguments.url or read_connection(LocalSettings.from_env().state_dir).clickhouse_url
    store = ClickHouseEventStore(url, arguments.user, arguments.password)
    try:
        if arguments.list:
            print("\n".join(migration.name for migration in find_pending(store, MIGRATIONS)) or "nothing pending")
            return 0
        print(f"{apply_pending(store, MIGRATIONS, print)} applied")
    except StoreUnavailable as error:
        print(f"a migration failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
