"""The pipeline around a bare engine: what is sent is archived, loaded and erased when a test says so."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.erasure_journal import RUNNING_PREFIX, read_record, request_erasure
from event_analytics.erasure_run import CONSUMERS
from event_analytics.erasure_state import ErasureRecord, ErasureRequest
from event_analytics.ingest import item_of_event
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from event_analytics.operations import plan_update
from event_analytics.ports import EventStore
from event_analytics.validate import Acceptance
from functions.archive import app as archive
from functions.load import app as load
from functions.report import app as report
from tests.builders import ACCEPTED_US, a_lambda_batch
from tests.fakes import FakeEventLog, FakeObjectStore, FakeTopicOffsets
from tests.integration.clickhouse_server.conftest import end, start
from tests.integration.folds.conftest import MIGRATIONS
from tests.residue import is_in, tables_with

MINUTES_MAX = 60  # of the schedule, until an erasure is done
STARTED = time.time()
CLOCK_SPEED = 20  # a step that waits gives up its minute after half a second


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEventStore]:
    running = start(tmp_path_factory.mktemp("clickhouse"))
    store = ClickHouseEventStore(f"http://127.0.0.1:{running.port}/default")
    apply_pending(store, MIGRATIONS, lambda _name: None)
    yield store
    end(running)


@dataclass
class World:
    """One bucket, one broker and one ClickHouse, which it shares with others: users and ids are its own."""

    store: ClickHouseEventStore
    objects: FakeObjectStore = field(default_factory=FakeObjectStore)
    log: FakeEventLog = field(default_factory=FakeEventLog)
    offsets: FakeTopicOffsets = field(default_factory=FakeTopicOffsets)
    marker: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    clock_us: int = ACCEPTED_US
    sent: list[KafkaRecord] = field(default_factory=list)

    def own(self, text: str) -> str:
        """A name or a text that no other world has."""
        return f"{text}-{self.marker}"

    def create(self, user: str, text: str, identifier: str | None = None, conversation: str = "c") -> KafkaRecord:
        event = {
            "id": identifier or str(uuid.uuid4()), "user_id": self.own(user), "conversation_id": self.own(conversation),
            "event_name": "asked", "timestamp": "2026-09-21T14:00:00Z", "input": self.own(text),
            "input_embeddings": [1.0],
        }  # fmt: skip
        return self._record(item_of_event(json.dumps(event).encode(), 0, self._acceptance()).record)

    def update(self, record: KafkaRecord, text: str) -> KafkaRecord:
        fields = {"output": self.own(text), "output_embeddings": [3.0]}
        return self._record(plan_update(id_in(record), json.dumps(fields).encode(), self._acceptance()).record)

    def _acceptance(self) -> Acceptance:
        self.clock_us += 1_000_000
        return Acceptance(self.clock_us, os.urandom)

    def _record(self, routed: Any) -> KafkaRecord:
        offset = sum(record.topic == routed.topic for record in self.sent)
        record = KafkaRecord(routed.topic, 0, offset, routed.timestamp_ms, routed.key, routed.value)
        self.sent.append(record)
        return record

    def archive(self, *records: KafkaRecord) -> InvocationLine:
        line = InvocationLine()
        archive.handle(a_lambda_batch(records), archive.Deps(self.objects, "e1"), line)
        return line

    def load(self, *records: KafkaRecord, store: EventStore | None = None) -> InvocationLine:
        line = InvocationLine()
        writer = DeadLetterWriter(self.objects, self.log)
        deps = load.Deps(store or self.store, writer, uuid.uuid4().hex, lambda: self.clock_us)
        load.handle(a_lambda_batch(records), deps, line)
        return line

    def deliver(self, *records: KafkaRecord) -> None:
        """To both, as Kafka's triggers do in the end."""
        for record in records:
            self.archive(record)
            self.load(record)

    def catch_up(self) -> None:
        """Let every consumer have committed what was sent."""
        for group, topic in CONSUMERS:
            count = sum(record.topic == topic for record in self.sent)
            self.offsets.end_of[topic] = self.offsets.reached_by[group, topic] = count

    def request(self, user: str) -> str:
        self.clock_us += 1_000_000
        erasure_id = str(uuid.uuid4())
        request_erasure(self.objects, ErasureRequest(erasure_id, self.own(user), self.clock_us))
        return erasure_id

    def next_minute(self, *jobs: str, settle_seconds: float = 0, **instead: Any) -> InvocationLine:
        """One invocation of the schedule: `erase` if no jobs are named; `instead`: other objects or another store."""
        line = InvocationLine()
        deps = report.Deps(
            instead.get("store", self.store),
            instead.get("objects", self.objects),
            self.log,
            lambda: STARTED + (time.time() - STARTED) * CLOCK_SPEED,
            self.offsets,
            settle_seconds * CLOCK_SPEED,
        )
        report.handle({"jobs": jobs or ("erase",)}, deps, line)
        return line

    def erase(self, user: str) -> ErasureRecord:
        """The record, once the schedule has ended the erasure."""
        erasure_id = self.request(user)
        self.catch_up()
        return self.end(erasure_id)

    def end(self, erasure_id: str) -> ErasureRecord:
        """The same for one that was requested."""
        for _ in range(MINUTES_MAX):
            self.next_minute()
            record = self.record(erasure_id)
            if record.status == "done":
                return record
        raise AssertionError(record)

    def until(self, erasure_id: str, step: str) -> ErasureRecord:
        """The record once the run is about to take a step, or waits in it."""
        for _ in range(MINUTES_MAX):
            self.next_minute(settle_seconds=3_600)
            record = self.record(erasure_id)
            if record.step == step:
                return record
        raise AssertionError(record)

    def look_again(self) -> None:
        """Let the time be over after which everything that was under way must have ended."""
        state = next(name for name in self.objects.objects if name.startswith(RUNNING_PREFIX))
        self.objects.rewrite(state, lambda body: json.dumps({**json.loads(body), "settled_ms": 0}).encode())

    def record(self, erasure_id: str) -> ErasureRecord:
        record = read_record(self.objects, erasure_id)
        assert record is not None
        return record

    def residue(self, text: str) -> dict[str, int]:
        """Where a name or a text of this world is still found: rows by table, objects by name."""
        text = self.own(text)
        bodies = [*self.objects.objects.items(), *((each.name, body) for each, body in self.objects.past.items())]
        return {**tables_with(self.store, text), **{name: 1 for name, body in bodies if is_in(body, text)}}

    def answers(self, user: str) -> list[dict[str, Any]]:
        """What reads tell of a user: events with their changes folded."""
        sql = """
            SELECT id, replaceOne(input, {mark:String}, '') AS input, replaceOne(output, {mark:String}, '') AS output
            FROM events FINAL WHERE user_id = {user:String} ORDER BY id
        """
        return self.store.select(sql, {"user": self.own(user), "mark": self.own("")})


def id_in(record: KafkaRecord) -> str:
    return str(json.loads(record.value or b"")["id"])


@pytest.fixture
def world(store: ClickHouseEventStore) -> World:
    return World(store)
