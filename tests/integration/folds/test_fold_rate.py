"""How many changes a second the fold takes, through the doors that `load` uses. Prints figures, judges sums only.

`pytest -m long -s tests/integration/folds/test_fold_rate.py`, on a quiet machine.
"""

import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.folding import fold_changes
from event_analytics.identifiers import mint_uuid7
from tests.builders import ACCEPTED_US

ROWS = 500_000
CHANGES = 200_000
BATCH = 5_000
START_MS = 1_789_603_200_000
SPAN_MS = 7 * 86_400_000  # the events of a week; any of them may change
WHAT_CHANGES = {
    "update": {
        "fields": ["error", "latency_ms", "properties"],
        "error": "timeout",
        "latency_ms": 7,
        "patch": {"tokens": None, "retried": True},
    },
    "delete": {"is_deleted": 1},
}


class TimedStore:
    """A store that adds up where the time goes, by the first words of each statement."""

    def __init__(self, store: ClickHouseEventStore) -> None:
        self._store = store
        self.seconds: Counter[str] = Counter()

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        started = time.perf_counter()
        self._store.insert_rows(table, rows, token, columns)
        self.seconds[f"insert {table}"] += time.perf_counter() - started

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        started = time.perf_counter()
        self._store.execute(sql, parameters)
        self.seconds[" ".join(sql.split()[:3])] += time.perf_counter() - started

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        started = time.perf_counter()
        rows = self._store.select(sql, parameters)
        self.seconds[" ".join(sql.split()[:3])] += time.perf_counter() - started
        return rows


def fill(store: ClickHouseEventStore) -> list[UUID]:
    """ROWS events of a week; their ids tell their times."""
    chance = random.Random(7)
    ids: list[UUID] = []
    for start in range(0, ROWS, 50_000):
        lines = []
        for number in range(start, start + 50_000):
            at_ms = START_MS + chance.randrange(SPAN_MS)
            ids.append(mint_uuid7(at_ms, chance.randbytes(10)))
            event = {
                "accepted_us": at_ms * 1_000, "id": str(ids[-1]), "user_id": f"u{number % 997}",
                "conversation_id": f"c{number // 10}", "event_name": f"e{number % 7}", "timestamp": at_ms / 1_000,
                "latency_ms": number % 1_000, "properties": {"model": "m", "tokens": number},
            }  # fmt: skip
            lines.append(json.dumps(event).encode())
        store.insert_rows("events", b"\n".join(lines), uuid.uuid4().hex)
    return ids


def batches(ids: list[UUID], kind: str) -> Iterator[tuple[list[UUID], bytes]]:
    """The ids of each batch, and the rows of their changes."""
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        changes = [
            {"change_id": str(uuid.uuid4()), "id": str(each), "version": ACCEPTED_US + number, **WHAT_CHANGES[kind]}
            for number, each in enumerate(part, start)
        ]
        yield part, b"\n".join(json.dumps(change).encode() for change in changes)


def rate(store: ClickHouseEventStore, ids: list[UUID], kind: str) -> list[str]:
    """Load the changes of one kind; what there is to tell of it."""
    timed = TimedStore(store)
    made = list(batches(ids, kind))
    started = time.perf_counter()
    for part, rows in made:
        timed.insert_rows("event_changes", rows, uuid.uuid4().hex, CHANGE_COLUMNS)
        assert fold_changes(timed, part) == []
    seconds = time.perf_counter() - started
    parts = [f"  {spent:6.1f} s  {name}" for name, spent in timed.seconds.most_common()]
    return [f"{len(ids):,} {kind}s: {len(ids) / seconds:,.0f}/s", *parts]


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_rate_of_folds_long(store: ClickHouseEventStore) -> None:
    ids = fill(store)
    random.Random(8).shuffle(ids)
    figures = [f"{ROWS:,} rows, batches of {BATCH:,}; load of the machine {os.getloadavg()[0]:.1f}"]

    figures += rate(store, ids[:CHANGES], "update") + rate(store, ids[CHANGES : 2 * CHANGES], "delete")

    print("", *figures, sep="\n")  # noqa: T201 - the figures are what this is for
    (counts,) = store.select("SELECT count() AS left, countIf(error = 'timeout') AS updated FROM events FINAL", {})
    assert counts == {"left": ROWS - CHANGES, "updated": CHANGES}
    assert store.select("SELECT count() AS pending FROM pending_changes", {}) == [{"pending": 0}]
