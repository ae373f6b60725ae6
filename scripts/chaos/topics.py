"""Reads the topics from their beginning to their end, as a consumer that nobody else knows."""

from contextlib import closing
from typing import Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC
from local_runtime.kafka_trigger.watermarks import read_watermarks
from scripts.chaos.order import InTopic
from scripts.failures import GaveUp

_POLL_MS: Final = 1_000
_POLLS_MAX: Final = 600
_FETCH_WAIT_MS: Final = 5_000  # the durable broker lists all batches of a partition first, and finds none in less


class _Record(msgspec.Struct):
    id: str
    change_id: str = ""
    version: int = 0


def read_topics(bootstrap: str) -> dict[str, list[InTopic]]:
    """The records of both topics that people write to, each by partition and offset.

    Raises:
        GaveUp: a topic could not be read to its end.
    """
    return {topic: _read_topic(bootstrap, topic) for topic in (EVENTS_TOPIC, EVENT_CHANGES_TOPIC)}


def _read_topic(bootstrap: str, topic: str) -> list[InTopic]:
    """A crash may leave an offset without a record, so the end is a position and no count."""
    with closing(
        KafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
    ) as consumer:
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = read_watermarks(bootstrap, parts)
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        found: list[InTopic] = []
        for _ in range(_POLLS_MAX):
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=5_000)
            for part, records in polled.items():
                found += [_describe(part.partition, record.offset, record.value) for record in records]
            if not polled and all(consumer.position(part) >= ends[part] for part in parts):
                return sorted(found)
    raise GaveUp(f"topic {topic} could not be read to its end")


def _describe(partition: int, offset: int, value: bytes) -> InTopic:
    record = msgspec.json.decode(value, type=_Record)
    return InTopic(partition, offset, record.id, record.change_id, record.version)
