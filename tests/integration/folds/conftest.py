"""A ClickHouse of its own: these tests merge whole tables, which takes long where others have left many parts."""

import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen
from time import monotonic, sleep

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending

MIGRATIONS = Path(__file__).parents[3] / "schema" / "migrations"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEventStore]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("clickhouse")
    command = [sys.executable, "-m", "local_runtime.clickhouse_server", "--path", str(folder), "--port", str(port)]
    server = Popen(command, stdout=DEVNULL)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/ping")
        event_store = ClickHouseEventStore(f"http://127.0.0.1:{port}")
        apply_pending(event_store, MIGRATIONS, print)
        yield event_store
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def tables(store: ClickHouseEventStore) -> ClickHouseEventStore:
    """The store without what other tests of the module left."""
    for table in ("events", "event_changes", "event_embeddings", "pending_changes"):
        store.command(f"TRUNCATE TABLE {table}")
    return store


def wait_until_it_answers(url: str) -> None:
    deadline = monotonic() + 30
    while not answers(url):
        assert monotonic() < deadline, url
        sleep(0.05)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError:
        return False
    return True
