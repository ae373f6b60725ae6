"""Kafka batch -> ClickHouse, with fakes."""

import json
from typing import NamedTuple

import pytest

from event_analytics.change import accept_delete, accept_update, encode_change
from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, DeadLetterWriter
from event_analytics.errors import LogUnavailable, StoreUnavailable
from event_analytics.event_fields import fields_of
from event_analytics.identifiers import mint_uuid7
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from functions.load.app import Deps, handle
from tests.builders import ACCEPTED_US, a_lambda_batch, a_record, ids_in
from tests.fakes import FakeEventLog, FakeEventStore, FakeObjectStore

CHANGED = mint_uuid7(ACCEPTED_US // 1_000, b"\1" * 10)


class Load(NamedTuple):
    """The function with fakes around it."""

    store: FakeEventStore
    objects: FakeObjectStore
    log: FakeEventLog

    def run(self, *records: KafkaRecord) -> InvocationLine:
        line = InvocationLine()
        writer = DeadLetterWriter(self.objects, self.log)
        deps = Deps(self.store, writer, epoch="e1", now_us=lambda: ACCEPTED_US + 250_000)
        handle(a_lambda_batch(records), deps, line)
        return line

    def letters(self) -> dict[str, bytes]:
        return {name: body for name, body in self.objects.objects.items() if name.startswith(DEAD_LETTERS_PREFIX)}


@pytest.fixture
def load() -> Load:
    return Load(FakeEventStore(), FakeObjectStore(), FakeEventLog())


def test_every_record_becomes_a_row_or_a_dead_letter(load: Load) -> None:
    line = load.run(a_record(0), a_record(1, value=b"{"), a_record(2))

    assert [row["output"] for row in load.store.lines("events")] == ["text 0", "text 2"]
    assert [json.loads(body)["offset"] for body in load.letters().values()] == [1]
    assert [record.topic for record in load.log.records] == ["dead-letters"]
    assert (line.counts["records"], line.counts["loaded_events"], line.counts["dead_letters"]) == (3, 2, 1)
    assert line.counts["freshness_ms"] == 250


@pytest.mark.parametrize("timestamp", ["1900-01-01T00:00:00Z", "2200-01-01T00:00:00Z"])
def test_a_time_that_no_hour_can_hold_costs_no_neighbour_anything(load: Load, timestamp: str) -> None:
    odd = json.loads(a_record(1).value or b"") | {"timestamp": timestamp}

    line = load.run(a_record(0), a_record(1, value=json.dumps(odd).encode()), a_record(2))

    assert [json.loads(body)["reason"] for body in load.letters().values()] == ["record_undecodable"]
    assert (line.counts["loaded_events"], line.counts["dead_letters"]) == (2, 1)
    marked = [parameters["hours"] for _, parameters in load.store.asked if "hours" in parameters]
    assert marked
    assert all(0 <= hour < 2**32 for hours in marked for hour in hours)


def test_changes_go_to_their_log_and_are_folded_once_per_id(load: Load) -> None:
    update = accept_update(CHANGED, fields_of(b'{"error":"timeout","properties":{"a":null}}'), CHANGED, ACCEPTED_US)
    delete = accept_delete(CHANGED, CHANGED, ACCEPTED_US + 1)
    changes = [a_record(n, value=encode_change(change)) for n, change in enumerate((update, delete))]

    line = load.run(*changes)

    first, second = load.store.lines("event_changes")
    assert (first["fields"], first["error"], first["patch"]) == (["error", "properties"], "timeout", {"a": None})
    assert (second["is_deleted"], second["version"]) == (1, ACCEPTED_US + 1)
    assert line.counts["loaded_changes"] == 2
    assert next(ids_in(parameters) for _, parameters in load.store.asked if "ids" in parameters) == [str(CHANGED)]


def test_the_same_batch_again_changes_nothing(load: Load) -> None:
    for _ in range(2):
        load.run(a_record(0), a_record(1, value=b"{"))

    assert (len(load.store.lines("events")), len(load.letters())) == (1, 1)


def test_a_store_that_is_down_fails_the_batch(load: Load) -> None:
    load.store.is_down = True

    with pytest.raises(StoreUnavailable):
        load.run(a_record(0))


def test_a_dead_letter_that_kafka_does_not_take_fails_the_batch(load: Load) -> None:
    load.log.refuse_after = 0

    with pytest.raises(LogUnavailable):
        load.run(a_record(0, value=b"{"))
