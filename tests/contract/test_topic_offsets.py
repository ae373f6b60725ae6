"""`TopicOffsets`: the fake and kafka-python on the real broker do the same."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.kafka_topic_offsets import KafkaTopicOffsets
from event_analytics.errors import LogUnavailable
from event_analytics.ports import TopicOffsets
from event_analytics.routing import DEAD_LETTERS_TOPIC, Record
from tests.fakes import FakeTopicOffsets


class Topic(NamedTuple):
    """A topic of one partition, how to append to it, and how a group commits."""

    offsets: TopicOffsets
    append: Callable[[int], None]
    commit: Callable[[str, int], None]


@pytest.fixture(params=["fake", "kafka"])
def topic(request: pytest.FixtureRequest) -> Iterator[Topic]:
    if request.param == "fake":
        fake = FakeTopicOffsets()

        def grow(count: int) -> None:
            fake.end_of[DEAD_LETTERS_TOPIC] = fake.end_of.get(DEAD_LETTERS_TOPIC, 0) + count

        def note(group: str, offset: int) -> None:
            fake.reached_by[group, DEAD_LETTERS_TOPIC] = offset

        yield Topic(fake, grow, note)
        return
    bootstrap = request.getfixturevalue("stack").connection.kafka
    with closing(KafkaEventLog(bootstrap, "plaintext", client_id="contract-test")) as log:
        offsets = KafkaTopicOffsets(bootstrap, "plaintext", client_id="contract-test")
        yield Topic(offsets, lambda count: append(log, count), lambda *place: commit(bootstrap, *place))


def append(log: KafkaEventLog, count: int) -> None:
    now_ms = int(time.time() * 1_000)
    assert all(log.append([Record(DEAD_LETTERS_TOPIC, b"k", b"{}", now_ms) for _ in range(count)]))


def commit(bootstrap: str, group: str, offset: int) -> None:
    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    with closing(consumer):
        partition = TopicPartition(DEAD_LETTERS_TOPIC, 0)
        consumer.assign([partition])
        consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})


def test_an_end_lies_behind_every_record_of_a_batch(topic: Topic) -> None:
    topic.append(1)
    before = topic.offsets.ends(DEAD_LETTERS_TOPIC)[0]
    topic.append(25)

    assert topic.offsets.ends(DEAD_LETTERS_TOPIC) == {0: before + 25}


def test_a_group_has_reached_what_it_committed_and_nothing_before(topic: Topic) -> None:
    group = f"contract-{uuid.uuid4().hex}"
    topic.append(3)

    assert topic.offsets.reached(group, DEAD_LETTERS_TOPIC) == {0: 0}
    topic.commit(group, 2)
    assert topic.offsets.reached(group, DEAD_LETTERS_TOPIC) == {0: 2}


def test_a_broker_that_is_not_there_is_unavailable(unused_port: int) -> None:
    offsets = KafkaTopicOffsets(f"127.0.0.1:{unused_port}", "plaintext", client_id="contract-test")

    with pytest.raises(LogUnavailable):
        offsets.ends(DEAD_LETTERS_TOPIC)
    fake = FakeTopicOffsets()
    fake.is_down = True
    with pytest.raises(LogUnavailable):
        fake.ends(DEAD_LETTERS_TOPIC)
