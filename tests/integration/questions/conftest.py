"""A ClickHouse of its own with random events, and a way to ask it as the query function does."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.observability import InvocationLine
from event_analytics.questions.catalog import BY_NAME
from functions.query import app
from tests.builders import a_request
from tests.fakes import FakeKeySource, FakeObjectStore
from tests.integration.clickhouse_server.conftest import end, start

MIGRATIONS = Path(__file__).resolve().parents[3] / "schema" / "migrations"
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEventStore]:
    running = start(tmp_path_factory.mktemp("clickhouse"))
    store = ClickHouseEventStore(f"http://127.0.0.1:{running.port}/default")
    apply_pending(store, MIGRATIONS, lambda _name: None)
    yield store
    end(running)


@pytest.fixture(scope="module")
def ask(store: ClickHouseEventStore) -> Ask:
    """Asks a question by name; a list as value repeats its parameter. Adds `bytes_read` to the answer."""
    keys = FakeKeySource()
    deps = app.Deps(store=store, objects=FakeObjectStore(), keys=keys, now=lambda: NOW)

    def ask(question: str, path: str = "", **query: Any) -> dict[str, Any]:
        line = InvocationLine()
        request = a_request(
            key=keys.read_key,
            query={name: str(value[-1] if isinstance(value, list) else value) for name, value in query.items()},
            repeated={name: value for name, value in query.items() if isinstance(value, list)},
            path_parameters={"id": path},
        )
        answer = app.handle_question(BY_NAME[question], request, deps, line)
        return {**json.loads(answer.body), "bytes_read": line.counts["bytes_read"]}

    return ask
