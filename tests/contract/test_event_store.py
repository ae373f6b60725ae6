"""`EventStore`: the fake and clickhouse-connect on the real engine do the same."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import Refused, StoreUnavailable
from tests.builders import ACCEPTED_US, an_event
from tests.fakes import FakeEventStore


class Counted:
    """A store and a way to count its rows of one conversation."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def count(self, conversation_id: str) -> int:
        if isinstance(self.store, FakeEventStore):
            return sum(row["conversation_id"] == conversation_id for row in self.store.lines("events"))
        sql = "SELECT count() AS n FROM events WHERE conversation_id = {c:String}"
        return int(self.store.select(sql, {"c": conversation_id})[0]["n"])


@pytest.fixture(params=["fake", "clickhouse"])
def counted(request: pytest.FixtureRequest) -> Iterator[Counted]:
    if request.param == "fake":
        yield Counted(FakeEventStore())
    else:
        yield Counted(ClickHouseEventStore(request.getfixturevalue("stack").connection.clickhouse_url))


def rows(conversation_id: str, count: int) -> bytes:
    return b"\n".join(
        json.dumps(
            {
                **an_event(id=str(uuid.uuid4()), conversation_id=conversation_id),
                "timestamp": "2026-09-21T14:13:20.123Z",
                "accepted_us": ACCEPTED_US,
                "unknown": 1,
            }
        ).encode()
        for _ in range(count)
    )


def test_a_repeated_token_inserts_nothing(counted: Counted) -> None:
    conversation_id, token = uuid.uuid4().hex, uuid.uuid4().hex
    batch = rows(conversation_id, 3)
    for _ in range(2):
        counted.store.insert_rows("events", batch, token)

    assert counted.count(conversation_id) == 3


def test_another_token_inserts(counted: Counted) -> None:
    conversation_id = uuid.uuid4().hex
    for _ in range(2):
        counted.store.insert_rows("events", rows(conversation_id, 3), uuid.uuid4().hex)

    assert counted.count(conversation_id) == 6


def test_years_of_history_fit_one_insert(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    conversation_id = uuid.uuid4().hex
    weeks = [
        json.dumps({**an_event(id=str(uuid.uuid4()), conversation_id=conversation_id), "accepted_us": ACCEPTED_US,
                    "timestamp": f"{2001 + week // 50}-{1 + week % 12:02}-{1 + week % 28:02}T00:00:00Z"}).encode()
        for week in range(500)
    ]  # fmt: skip
    store.insert_rows("events", b"\n".join(weeks), uuid.uuid4().hex)

    assert Counted(store).count(conversation_id) == 500


def test_a_query_over_its_limits_is_refused_as_too_heavy(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(Refused) as refused:
        store.select("SELECT sum(number) AS n FROM numbers(1e12) SETTINGS max_execution_time = 0.2", {})

    assert (str(refused.value.reason), refused.value.status) == ("query_too_heavy", 422)


def test_a_store_that_is_not_there_is_unavailable(unused_port: int) -> None:
    store = ClickHouseEventStore(f"http://127.0.0.1:{unused_port}/default")

    with pytest.raises(StoreUnavailable) as unavailable:
        store.select("SELECT 1 AS one", {})

    assert str(unavailable.value.reason) == "store_unavailable"
    with pytest.raises(StoreUnavailable):
        store.insert_rows("events", rows("c", 1), "token")
