"""Poison between good rows, on the real engine."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.errors import StoreRejected, StoreUnavailable
from event_analytics.isolation import LoadRow, insert_isolated
from event_analytics.load import CHANGES_TABLE, EMBEDDINGS_COLUMNS, EMBEDDINGS_TABLE, EVENTS_TABLE
from tests.builders import a_record
from tests.conftest import EmbeddedStack

COLUMNS: dict[str, Sequence[str]] = {
    EVENTS_TABLE: (),
    EMBEDDINGS_TABLE: EMBEDDINGS_COLUMNS,
    CHANGES_TABLE: CHANGE_COLUMNS,
}
POISON_OFFSETS = [0, 700, 701, 1_999]


@pytest.fixture
def store(stack: EmbeddedStack) -> ClickHouseEventStore:
    return ClickHouseEventStore(stack.connection.clickhouse_url)


def rows_of(conversation_id: str, count: int) -> list[LoadRow]:
    """Rows of one conversation; those at POISON_OFFSETS decode, and ClickHouse refuses them."""
    made = []
    for offset in range(count):
        event = json.loads(a_record(offset).value or b"")
        event |= {"id": str(uuid.uuid4()), "conversation_id": conversation_id}
        if offset in POISON_OFFSETS:
            event["is_deleted"] = 300
        line = json.dumps(event).encode()
        made.append(LoadRow(a_record(offset, value=line), line))
    return made


def count_of(store: ClickHouseEventStore, conversation_id: str) -> int:
    sql = "SELECT count() AS n FROM events FINAL WHERE conversation_id = {c:String}"
    return int(store.select(sql, {"c": conversation_id})[0]["n"])


def test_poison_comes_back_and_every_other_row_is_in_however_often(store: ClickHouseEventStore) -> None:
    conversation_id = uuid.uuid4().hex
    rows = rows_of(conversation_id, 2_000)
    for _ in range(2):
        dead = insert_isolated(store, "events", rows, "e1")

        assert [one.record.offset for one in dead] == POISON_OFFSETS
        assert {(one.error_code, one.needs_classification) for one in dead} == {(117, False)}
        assert count_of(store, conversation_id) == 2_000 - len(POISON_OFFSETS)


@pytest.mark.parametrize("table", COLUMNS)
def test_the_row_that_is_surely_good_is_taken_by_each_table_and_no_answer_shows_it(
    store: ClickHouseEventStore, table: str
) -> None:
    hidden = "SELECT count() AS n FROM events FINAL WHERE timestamp < '2000-01-02'"
    before = int(store.select(hidden, {})[0]["n"])

    class OnceUnknown:
        """Refuses the rows as a server does that is ill; the check gets through."""

        def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
            if rows == b"odd":
                raise StoreRejected(1002, "UNKNOWN_EXCEPTION", "x", is_known=False)
            store.insert_rows(table, rows, token, columns)

    ill: Any = OnceUnknown()
    (dead,) = insert_isolated(ill, table, [LoadRow(a_record(0), b"odd")], "e1", COLUMNS[table])

    assert dead.needs_classification
    assert int(store.select(hidden, {})[0]["n"]) == before
    assert int(store.select(f"SELECT count() AS n FROM {table} WHERE is_deleted = 1", {})[0]["n"]) > 0


def test_a_table_that_is_not_there_makes_no_record_dead(store: ClickHouseEventStore) -> None:
    with pytest.raises(StoreUnavailable):
        insert_isolated(store, "events_of_tomorrow", rows_of("c", 10), "e1")
