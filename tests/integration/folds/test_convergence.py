"""Any interleaving of creates, updates, deletes, duplicates, regrouped deliveries and folds ends in one state.

Over the real engine, through the load function's own door; the model is thirty lines of plain Python.
"""

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.errors import Refused
from event_analytics.folding import fold_pending
from event_analytics.identifiers import mint_uuid7
from event_analytics.ingest import Item, item_of_event
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from event_analytics.operations import plan_delete, plan_update
from event_analytics.questions.catalog import BY_NAME
from event_analytics.validate import Acceptance
from functions.load import app as load
from functions.query import app as query
from tests.builders import a_lambda_batch, a_request
from tests.fakes import FakeEventLog, FakeKeySource, FakeObjectStore
from tests.integration.folds.reference import Event
from tests.long_forms import Record, cases_within

IDS = 2
EVENT_MS = 1_789_999_999_000
LIE_MS = 10**10  # an id minted four months before its event
# Of the long form: rounds of so many interleavings, each round with random numbers of its own. A round is about 3,500
# statements: 40 s of one core.
ROUND, ROUNDS_MAX, STEPS = 25, 8, 30
SECONDS_MAX = 300.0  # no round begins after it
TEXTS = st.none() | st.sampled_from(["", "a", "ü 👋", '"quoted"\n'])
JSON_LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x"])
OBJECTS = st.dictionaries(
    st.sampled_from(["a", "b", "c.d"]),
    st.recursive(JSON_LEAVES, lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2), max_leaves=4),
    max_size=3,
)
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "event_name": st.sampled_from(["e1", "e2"]),
        "error": TEXTS,
        "latency_ms": st.none() | st.integers(0, 99),
        "input": TEXTS,
        "output": TEXTS,
        "properties": st.none() | OBJECTS,
        "conversation_metadata": st.none() | st.just({"k": 1}),
        "input_embeddings": st.none() | st.lists(st.sampled_from([0.5, -2.0]), min_size=1, max_size=3),
    },
).filter(bool)


class Convergence(RuleBasedStateMachine):
    """Accepts operations in order, delivers their records in any order."""

    store: ClickHouseEventStore

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.events: list[Event] = []
        self.sent: list[KafkaRecord] = []
        self.undelivered: list[KafkaRecord] = []
        self.has_new_rows = False
        self.accepted_us = 1_790_000_000_000_000

    @initialize(are_versioned=st.booleans())
    def choose_ids(self, are_versioned: bool) -> None:
        """Random ids, or version 7 whose time is a lie for every second one."""
        self.ids = [str(uuid.uuid4()) for _ in range(IDS)]
        if are_versioned:
            times = [EVENT_MS - number % 2 * LIE_MS for number in range(IDS)]
            self.ids = [str(mint_uuid7(time, os.urandom(10))) for time in times]
        self.events = [Event() for _ in self.ids]

    def _acceptance(self, gap_us: int) -> Acceptance:
        self.accepted_us += gap_us
        return Acceptance(self.accepted_us, os.urandom)

    def _send(self, item: Item) -> None:
        assert item.record is not None, item.refused
        record = KafkaRecord(
            item.record.topic, 0, len(self.sent), item.record.timestamp_ms, item.record.key, item.record.value
        )
        self.sent.append(record)
        self.undelivered.append(record)

    @rule(which=st.integers(0, IDS - 1), properties=OBJECTS, error=TEXTS, gap=st.integers(1, 3))
    def create(self, which: int, properties: dict[str, Any], error: str | None, gap: int) -> None:
        """A create; a second one for the same id is a client's retry with the same content."""
        event = self.events[which]
        if event.create is None:
            event.create = {
                "id": self.ids[which], "user_id": "u", "conversation_id": f"c-{self.ids[which]}", "event_name": "e0",
                "timestamp": "2026-09-21T14:13:19Z", "properties": properties, "error": error, "input": "in",
                "input_embeddings": [1.0],
            }  # fmt: skip
        self._send(item_of_event(json.dumps(event.create).encode(), 0, self._acceptance(gap)))

    @rule(which=st.integers(0, IDS - 1), updates=st.lists(UPDATES, min_size=1, max_size=3), gap=st.integers(1, 3))
    def update(self, which: int, updates: list[dict[str, Any]], gap: int) -> None:
        for fields in updates:
            self.events[which].changes.append(fields)
            self._send(plan_update(self.ids[which], json.dumps(fields).encode(), self._acceptance(gap)))

    @rule(which=st.integers(0, IDS - 1), chance=st.integers(0, 4))
    def delete(self, which: int, chance: int) -> None:
        if chance == 0:
            self.events[which].changes.append(None)
            self._send(plan_delete(self.ids[which], self._acceptance(1)))

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Some records, old or new, in any order and grouping, in up to three invocations at the same time."""
        batches = data.draw(
            st.lists(st.lists(st.sampled_from(self.sent), min_size=1, max_size=4), min_size=1, max_size=3)
        )
        with ThreadPoolExecutor(max_workers=len(batches) + 1) as pool:
            futures = [pool.submit(self._load, batch) for batch in batches]
            if data.draw(st.booleans()):
                futures.append(pool.submit(self._fold))
            for future in futures:
                future.result()
        delivered = {record.offset for batch in batches for record in batch}
        self.undelivered = [record for record in self.undelivered if record.offset not in delivered]
        self.has_new_rows = True

    @precondition(lambda self: self.has_new_rows)
    @rule()
    def merge(self) -> None:
        for table in ("events", "event_changes", "pending_changes", "event_embeddings"):
            self.store.command(f"OPTIMIZE TABLE {table} FINAL")
        self.has_new_rows = False

    def _load(self, batch: list[KafkaRecord]) -> None:
        writer = DeadLetterWriter(FakeObjectStore(), FakeEventLog())
        deps = load.Deps(self.store, writer, epoch=uuid.uuid4().hex, now_us=lambda: self.accepted_us)
        load.handle(a_lambda_batch(batch), deps, InvocationLine())

    def _fold(self) -> None:
        fold_pending(self.store, datetime.now(UTC).timestamp(), lambda: True)

    @invariant()
    def nothing_fails(self) -> None:
        assert len(self.events) in (0, IDS)

    def teardown(self) -> None:
        for record in reversed(self.undelivered):  # the newest first: what is late must still find its place
            self._load([record])
        self._fold()
        deps = query.Deps(self.store, FakeObjectStore(), FakeKeySource(), now=lambda: datetime.now(UTC))
        for identifier, event in zip(self.ids, self.events, strict=True):
            assert found_by(deps, identifier) == event.expected(), (identifier, event.create, event.changes)
            if event.create is not None:
                assert in_conversation(deps, identifier) == (event.expected() is not None)


def found_by(deps: Any, identifier: str) -> dict[str, Any] | None:
    request = a_request(key=deps.keys.read_key, path_parameters={"id": identifier})
    try:
        answer = query.handle_question(BY_NAME["event"], request, deps, InvocationLine())
    except Refused as refused:
        assert str(refused.reason) in ("event_not_found", "event_deleted")
        return None
    event = json.loads(answer.body)
    names = ("event_name", "error", "latency_ms", "input", "output", "conversation_metadata", "input_embeddings")
    return {**{name: event[name] for name in names}, "properties": event["properties"] or {}}


def in_conversation(deps: Any, identifier: str) -> bool:
    request = a_request(key=deps.keys.read_key, path_parameters={"id": f"c-{identifier}"})
    answer = query.handle_question(BY_NAME["conversation-events"], request, deps, InvocationLine())
    events = json.loads(answer.body)["events"]
    assert len(events) <= 1
    return bool(events)


def run(store: ClickHouseEventStore, examples: int, steps: int) -> None:
    Convergence.store = store
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Convergence,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet),
    )


@pytest.mark.timeout(300)
def test_any_interleaving_ends_in_the_state_of_the_model(store: ClickHouseEventStore) -> None:
    run(store, examples=12, steps=14)

    assert Convergence.store.select("SELECT count() AS n FROM event_changes", {})[0]["n"] > 0


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_any_interleaving_ends_in_the_state_of_the_model_long(
    store: ClickHouseEventStore, record_property: Record
) -> None:
    for _ in cases_within(ROUNDS_MAX, f"rounds of {ROUND}", SECONDS_MAX, record_property):
        run(store, examples=ROUND, steps=STEPS)

    assert Convergence.store.select("SELECT count() AS n FROM event_changes", {})[0]["n"] > 0
