"""Whoever sends something again, or late: what Kafka has of it is too young for any retention to take it.

The embedded broker deletes nothing, so the time that each record bears is looked at.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.dead_letters import DeadLetterWriter, DeadRecord
from event_analytics.erasure import Erased, Erasure, hash_user
from event_analytics.erasure_cleaning import Cleaner
from event_analytics.erasure_state import ErasureRequest, new_run
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import EventLog
from event_analytics.record_times import ACCEPTED_MS, RECORD_AGE_MS_MAX
from event_analytics.redrive import Selection, plan_redrive, redrive, select_letters
from event_analytics.replay_run import Runner
from event_analytics.replay_state import read_job
from event_analytics.routing import DEAD_LETTERS_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC, Record
from event_analytics.spool import encode_spool, spool_name
from event_analytics.spool_drain import drain_spool
from tests.fakes import FakeEventLog, FakeObjectStore
from tests.unit.event_analytics.replay_archive import ALL_TIME, START_MS, a_create, archive_of

READ_SECONDS_MAX = 20.0
LONG_AGO_MS = START_MS - 365 * 86_400_000


def send_replay(log: EventLog, record: KafkaRecord) -> None:
    objects = archive_of([record])
    Runner(objects, log, time.time, time.sleep, "test").start(read_job(ALL_TIME, uuid.uuid4().hex))


def send_redrive(log: EventLog, record: KafkaRecord) -> None:
    objects = FakeObjectStore()
    DeadLetterWriter(objects, FakeEventLog()).write(
        [DeadRecord(record, "store_rejected", "")], "e1", record.timestamp_ms
    )
    assert redrive(objects, log, [plan_redrive(*each) for each in select_letters(objects, Selection())])


def send_letter(log: EventLog, record: KafkaRecord) -> None:
    when_is_not_known = 0
    DeadLetterWriter(FakeObjectStore(), log).write([DeadRecord(record, "store_rejected", "")], "e1", when_is_not_known)


def send_spooled(log: EventLog, record: KafkaRecord) -> None:
    spool = FakeObjectStore()
    sent = Record(record.topic, record.key or b"", record.value or b"", record.timestamp_ms)
    spool.put_new(spool_name(record.timestamp_ms * 1_000, "request"), encode_spool([sent]))
    assert drain_spool(spool, log, "test", lambda: time.time_ns() // 1_000).published == 1


def send_after_erasure(log: EventLog, record: KafkaRecord) -> None:
    erasure = Erasure(hash_user("somebody"), LONG_AGO_MS * 1_000 - 1)
    erased = Erased({erasure.user_hash: erasure}, {UUID(int=record.offset).bytes: erasure})
    run = new_run("run1", [ErasureRequest("e1", "somebody", erasure.erased_us)], 0)
    Cleaner(archive_of([record]), log, erased, lambda run: run, lambda _hits: None, lambda: False).clean(run)


SENDERS = {
    send_replay: EVENTS_REPLAY_TOPIC,
    send_redrive: EVENTS_REPLAY_TOPIC,
    send_letter: DEAD_LETTERS_TOPIC,
    send_spooled: EVENTS_TOPIC,
    send_after_erasure: EVENTS_REPLAY_TOPIC,
}


@pytest.mark.parametrize(("send", "topic"), SENDERS.items(), ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.parametrize("appends_batches", [True, False], ids=["batches", "each alone"])
def test_no_record_is_sent_with_a_time_that_retention_could_take(
    stack: Any, send: Callable[[EventLog, KafkaRecord], None], topic: str, *, appends_batches: bool
) -> None:
    user = uuid.uuid4().hex
    bootstrap = stack.connection.kafka
    started_ms = int(time.time() * 1_000)

    with closing(KafkaEventLog(bootstrap, "plaintext", appends_batches=appends_batches)) as log:
        send(log, a_create(7, 7, LONG_AGO_MS, user_id=user))
    found = read_one(bootstrap, topic, user.encode())

    assert found.timestamp >= started_ms - RECORD_AGE_MS_MAX
    assert dict(found.headers) == {ACCEPTED_MS: b"%d" % LONG_AGO_MS}


def read_one(bootstrap: str, topic: str, key: bytes) -> Any:
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=500)) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        deadline = time.monotonic() + READ_SECONDS_MAX
        while time.monotonic() < deadline:
            for message in consumer:
                if message.key == key:
                    return message
    raise AssertionError(f"{topic} has no record of {key!r}")
