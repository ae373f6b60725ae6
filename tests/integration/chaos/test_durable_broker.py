"""The broker on S3: what it acknowledged is there after kill -9 of it and of its S3, and is never only believed."""

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.routing import EVENTS_TOPIC, Record
from local_runtime import lag, parts, tansu
from local_runtime.assembly import Tallystream
from local_runtime.connection import Connection
from local_runtime.kafka_trigger.watermarks import read_watermarks
from local_runtime.parts import Part
from local_runtime.settings import KAFKA_S3, PORT_SETTINGS, LocalSettings
from local_runtime.stack import Report, Stack, started
from tests.e2e.http_client import ApiClient

META = "clusters/tansu/meta.json"


class BrokerAndStorage:
    """A blueprint of the broker and its S3 alone."""

    def describe_foundation(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        return parts.describe_kafka(settings, scratch_dir), parts.describe_ministack(settings, scratch_dir)

    def prepare(self, settings: LocalSettings, boot_id: str, report: Report) -> Connection:
        tansu.create_topics(settings.kafka_bootstrap, {EVENTS_TOPIC: 1})
        names = [field.name for field in dataclasses.fields(Connection)]
        return Connection(**dict.fromkeys(names, ""))

    def describe_consumers(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        return ()

    def drain(self, settings: LocalSettings, report: Report) -> None:
        """Nothing is on its way."""


@pytest.fixture(scope="module")
def broker(local_settings: LocalSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    free_ports: dict[str, Any] = dict.fromkeys(PORT_SETTINGS, 0)
    state_dir = tmp_path_factory.mktemp("durable")
    settings = dataclasses.replace(local_settings, state_dir=state_dir, kafka_storage=KAFKA_S3, **free_ports)
    with started(settings, BrokerAndStorage()) as stack:
        yield stack


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_was_not_delivered_at_the_stop_is_delivered_after_the_next_start(
    local_settings: LocalSettings, tmp_path: Path
) -> None:
    free_ports: dict[str, Any] = dict.fromkeys(PORT_SETTINGS, 0)
    settings = dataclasses.replace(local_settings, state_dir=tmp_path, kafka_storage=KAFKA_S3, **free_ports)
    events = [{"user_id": f"u{n % 7}", "event_name": "e", "timestamp": "2018-05-06T00:00:00Z"} for n in range(2_000)]
    with started(settings, Tallystream()) as stack:
        os.kill(stack.pid_of("trigger"), signal.SIGSTOP)  # delivers nothing, and is killed at the stop
        writer = ApiClient(stack.connection.api_url, stack.connection.write_key)
        assert writer.post("/events", {"events": events}).body["accepted"] == len(events)

    with started(settings, Tallystream()) as stack:
        while lag.wait_until_drained(stack.connection.trigger_status_url):
            stack.check()
        reader = ApiClient(stack.connection.api_url, stack.connection.read_key)
        report = reader.get("/reports/top-users", start="2018-05-06T00:00:00Z", end="2018-05-07T00:00:00Z").body

    assert report["events_total"] == len(events)


def append(log: KafkaEventLog, *values: bytes) -> list[bool]:
    return [taken for value in values for taken in log.append([Record(EVENTS_TOPIC, b"k", value, 1_790_000_000_000)])]


def read_all(stack: Stack) -> list[bytes]:
    part = TopicPartition(EVENTS_TOPIC, 0)
    end = read_watermarks(stack.settings.kafka_bootstrap, [part])[part]
    with closing(KafkaConsumer(bootstrap_servers=stack.settings.kafka_bootstrap)) as consumer:
        consumer.assign([part])
        consumer.seek_to_beginning(part)
        found: list[bytes] = []
        while consumer.position(part) < end:
            found += [record.value for record in consumer.poll(timeout_ms=1_000).get(part, [])]
        return found


def test_what_was_acknowledged_survives_the_broker_and_its_storage(broker: Stack) -> None:
    with closing(KafkaEventLog(broker.settings.kafka_bootstrap, "plaintext")) as log:
        taken = append(log, b"1", b"2")
        broker.restart("kafka")
        taken += append(log, b"3")
        broker.restart("ministack")
        taken += append(log, b"4")

    assert taken == [True] * 4
    assert [value for value in read_all(broker) if value in b"1234"] == [b"1", b"2", b"3", b"4"]


def test_a_record_that_the_broker_only_believes_to_have_is_sent_until_it_has_it(broker: Stack) -> None:
    """Killed between a producer's sequence and its batch, the broker calls the retry a duplicate and drops it."""
    with closing(KafkaEventLog(broker.settings.kafka_bootstrap, "plaintext")) as log:
        assert append(log, b"before") == [True]
        broker.kill("kafka")
        advance_sequences(broker)
        broker.restart("kafka")

        assert append(log, b"believed", b"after") == [True, True]

    found = read_all(broker)
    assert [found.count(value) for value in (b"before", b"believed", b"after")] == [1, 1, 1]


def advance_sequences(broker: Stack) -> None:
    """What a broker leaves that dies after it noted a batch's sequence and before it stored the batch."""
    with closing(aws_session(broker.settings.aws_endpoint).client("s3")) as client:
        meta = json.loads(client.get_object(Bucket=tansu.S3_BUCKET, Key=META)["Body"].read())
        for producer in meta["producers"].values():
            for topics in producer["sequences"].values():
                for partitions in topics.values():
                    partitions.update({number: sequence + 1 for number, sequence in partitions.items()})
        client.put_object(Bucket=tansu.S3_BUCKET, Key=META, Body=json.dumps(meta).encode())
