"""`EventLog`: the fake and kafka-python on the real broker do the same."""

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.adapters.kafka_event_log import ACKNOWLEDGE_SECONDS_MAX, KafkaEventLog
from event_analytics.errors import LogUnavailable
from event_analytics.ports import EventLog
from event_analytics.routing import EVENTS_TOPIC, Record, partition_of
from tests.fakes import FakeEventLog


@pytest.fixture(params=["fake", "kafka", "kafka, each alone"])
def log(request: pytest.FixtureRequest) -> Iterator[EventLog]:
    if request.param == "fake":
        yield FakeEventLog()
        return
    stack = request.getfixturevalue("stack")
    appends_batches = request.param == "kafka"
    adapter = KafkaEventLog(
        stack.connection.kafka, "plaintext", client_id="contract-test", appends_batches=appends_batches
    )
    yield adapter
    adapter.close()


def records(count: int, marker: str) -> list[Record]:
    now_ms = int(time.time() * 1_000)
    return [
        Record(EVENTS_TOPIC, f"{marker}-{number % 7}".encode(), f'{{"{marker}":{number}}}'.encode(), now_ms)
        for number in range(count)
    ]


def test_every_record_is_acknowledged(log: EventLog) -> None:
    assert log.append(records(50, uuid.uuid4().hex)) == [True] * 50


def test_a_later_append_works_as_well(log: EventLog) -> None:
    for _ in range(3):
        assert log.append(records(1, uuid.uuid4().hex)) == [True]


def test_nothing_to_append_is_nothing_to_acknowledge(log: EventLog) -> None:
    assert log.append([]) == []


def test_records_lie_in_the_partition_of_their_key_in_the_order_sent(stack: Any) -> None:
    marker = uuid.uuid4().hex
    sent = records(200, marker)
    log = KafkaEventLog(stack.connection.kafka, "plaintext", client_id="contract-test")
    log.append(sent)
    log.close()

    found = read_all(stack.connection.kafka, marker, len(sent))
    partitions = 1 + max(partition for partition, _ in found)
    count = len(partitions_of(stack.connection.kafka))
    assert partitions <= count
    for partition in range(count):
        expected = [record.value for record in sent if partition_of(EVENTS_TOPIC, record.key, count) == partition]
        assert [value for place, value in found if place == partition] == expected


def partitions_of(bootstrap: str) -> set[int]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        return set(consumer.partitions_for_topic(EVENTS_TOPIC) or ())
    finally:
        consumer.close()


def read_all(bootstrap: str, marker: str, count: int) -> list[tuple[int, bytes]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(EVENTS_TOPIC, number) for number in sorted(partitions_of(bootstrap))])
    consumer.seek_to_beginning()
    found: list[tuple[int, bytes]] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        for tp, batch in consumer.poll(200).items():
            found += [(tp.partition, record.value) for record in batch if marker.encode() in record.value]
    consumer.close()
    return found


def test_a_broker_that_is_not_there_is_unavailable_within_the_budget(unused_port: int) -> None:
    log = KafkaEventLog(f"127.0.0.1:{unused_port}", "plaintext", client_id="contract-test")
    started = time.monotonic()

    with pytest.raises(LogUnavailable):
        log.append(records(1, "x"))

    assert time.monotonic() - started < ACKNOWLEDGE_SECONDS_MAX


def test_a_server_that_accepts_and_never_answers_is_unavailable_within_the_budget() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        log = KafkaEventLog(f"127.0.0.1:{silent.getsockname()[1]}", "plaintext", client_id="contract-test")
        started = time.monotonic()

        with pytest.raises(LogUnavailable):
            log.append(records(1, "x"))

        assert time.monotonic() - started < ACKNOWLEDGE_SECONDS_MAX


def test_after_a_broker_that_was_not_there_the_next_append_tries_again(log: EventLog) -> None:
    if isinstance(log, FakeEventLog):
        log.is_down = True
        with pytest.raises(LogUnavailable):
            log.append(records(1, "x"))
        log.is_down = False
    else:
        log.close()

    assert log.append(records(3, uuid.uuid4().hex)) == [True] * 3
