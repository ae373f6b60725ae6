"""A ClickHouse of its own with the product's tables: these tests count every hour that any test has written to."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from tests.integration.clickhouse_server.conftest import end, start
from tests.integration.rollups.day import HOURS, Day

MIGRATIONS = Path(__file__).resolve().parents[3] / "schema" / "migrations"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEventStore]:
    running = start(tmp_path_factory.mktemp("clickhouse"))
    store = ClickHouseEventStore(f"http://127.0.0.1:{running.port}/default")
    apply_pending(store, MIGRATIONS, lambda _name: None)
    yield store
    end(running)


@pytest.fixture
def day(store: ClickHouseEventStore) -> Day:
    """Two users in each of seven hours, and one event without a user; all counted."""
    day = Day(store)
    day.deliver([day.create(uuid.uuid4(), user, hour) for hour in range(HOURS) for user in ("a", "a", "b", "")])
    assert day.build().counted >= HOURS
    assert len(day.held()) == HOURS
    return day
