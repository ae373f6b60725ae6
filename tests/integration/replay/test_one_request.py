"""One id twice in one request, by two users: the first sent is the event, however the two are loaded and replayed."""

import itertools
import uuid

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.ingest import plan_items
from event_analytics.isolation import insert_isolated
from event_analytics.load import EVENTS_TABLE, plan_load
from event_analytics.operations import plan_operations
from tests.builders import a_record, an_acceptance, raw
from tests.conftest import EmbeddedStack

USERS = ("zoe", "ann")  # the first sent is not the smaller one


@pytest.fixture
def store(stack: EmbeddedStack) -> ClickHouseEventStore:
    return ClickHouseEventStore(stack.connection.clickhouse_url)


@pytest.mark.parametrize("is_mixed", [False, True], ids=["POST /events", "POST /batch"])
@pytest.mark.parametrize("order", list(itertools.permutations(USERS)), ids="-".join)
def test_the_first_of_two_creates_of_one_request_counts_in_any_order_of_partitions(
    store: ClickHouseEventStore, order: tuple[str, ...], *, is_mixed: bool
) -> None:
    identifier, conversation_id = str(uuid.uuid4()), uuid.uuid4().hex
    sent = [raw(id=identifier, user_id=user, conversation_id=conversation_id, timestamp=1_790_000_000_000)
            for user in USERS]  # fmt: skip
    operations = [b'{"op":"create",' + each[1:] for each in sent]
    items = plan_operations(operations, an_acceptance()) if is_mixed else plan_items(sent, an_acceptance())
    values = {user: item.record.value for user, item in zip(USERS, items, strict=True) if item.record is not None}

    for epoch in ("first", "replayed"):
        for partition, user in enumerate(order):
            rows = plan_load([a_record(0, partition=partition, value=values[user])]).event_rows
            assert not insert_isolated(store, EVENTS_TABLE, rows, f"{epoch}-{identifier}")

        sql = "SELECT user_id FROM events FINAL WHERE conversation_id = {c:String}"
        assert store.select(sql, {"c": conversation_id}) == [{"user_id": USERS[0]}]
