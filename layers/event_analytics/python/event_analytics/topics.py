"""Which topics there are, and what of them is still to be made or changed. Decides; `KafkaTopics` acts.

A topic that is there keeps its partitions: with more of them a user's later events would go to another partition than
the earlier ones, and overtake them. docs/scaling.md tells how to grow.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from event_analytics.routing import DEAD_LETTERS_TOPIC, EVENT_CHANGES_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC

PARTITIONED_TOPICS: Final = (EVENTS_TOPIC, EVENT_CHANGES_TOPIC, EVENTS_REPLAY_TOPIC)
MESSAGE_BYTES_MAX: Final = 1_048_588  # Kafka's own default, said aloud: a producer's request of 1 MiB with its envelope
_HOUR_MS: Final = 3_600_000


class Topic(NamedTuple):
    """A topic as it is wanted. `config`: Kafka's names and values."""

    name: str
    partitions: int
    config: Mapping[str, str]


class TopicState(NamedTuple):
    """A topic as it is. `config`: of the names that were asked for, those that the broker told."""

    partitions: int
    config: Mapping[str, str]


class TopicPlan(NamedTuple):
    """`create` in order; `alter`: name -> what to set; `unlike`: name -> partitions that it has and keeps."""

    create: tuple[Topic, ...]
    alter: Mapping[str, Mapping[str, str]]
    unlike: Mapping[str, int]


def topics_of(partitions: int, retention_hours: int, min_insync_replicas: str = "") -> tuple[Topic, ...]:
    """All topics. `min_insync_replicas`: "" leaves it to the broker, which MSK Serverless demands."""
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_hours * _HOUR_MS),
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "message.timestamp.type": "CreateTime",  # Kafka's default, said aloud: archive and replays mean acceptance
    }
    if min_insync_replicas:
        config["min.insync.replicas"] = min_insync_replicas
    return (*(Topic(name, partitions, config) for name in PARTITIONED_TOPICS), Topic(DEAD_LETTERS_TOPIC, 1, config))


def plan_topics(wanted: tuple[Topic, ...], present: Mapping[str, TopicState]) -> TopicPlan:
    """What makes the topics that are there the ones that are wanted, as far as that costs no order."""
    create = tuple(topic for topic in wanted if topic.name not in present)
    there = [(topic, present[topic.name]) for topic in wanted if topic.name in present]
    alter = {
        topic.name: changed
        for topic, state in there
        if (changed := {name: value for name, value in topic.config.items() if state.config.get(name) != value})
    }
    unlike = {topic.name: state.partitions for topic, state in there if state.partitions != topic.partitions}
    return TopicPlan(create, alter, unlike)
