"""kafka-python as `TopicOffsets`. One connection per question: an erasure asks a few times, then not for days."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from event_analytics.adapters.kafka_event_log import SECURITY_CONFIG
from event_analytics.errors import LogUnavailable

_CONNECT_MS_MAX: Final = 5_000
_REQUEST_MS_MAX: Final = 10_000
_ENDS_SECONDS_MAX: Final = 10.0  # 14 ms for 8 partitions where nothing else goes on
_POLL_MS: Final = 50


class KafkaTopicOffsets:
    """Asks the brokers, and joins no group."""

    def __init__(self, bootstrap: str, security: str, client_id: str) -> None:
        self._config: dict[str, Any] = {
            "bootstrap_servers": bootstrap.split(","),
            "client_id": client_id,
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "bootstrap_timeout_ms": _CONNECT_MS_MAX,
            "request_timeout_ms": _REQUEST_MS_MAX,
            "fetch_max_wait_ms": _POLL_MS,
            "max_partition_fetch_bytes": 1,  # the watermark is wanted, not the records
            **SECURITY_CONFIG[security],
        }

    def ends(self, topic: str) -> dict[int, int]:
        """As `TopicOffsets.ends`, from the high watermark of a fetch: some brokers tell too low an end."""
        with self._consumer(topic) as (consumer, partitions):
            for partition, near_end in consumer.end_offsets(partitions).items():
                consumer.seek(partition, near_end)
            deadline = time.monotonic() + _ENDS_SECONDS_MAX
            while None in (marks := {each.partition: consumer.highwater(each) for each in partitions}).values():
                if time.monotonic() > deadline:
                    raise LogUnavailable(f"no end of {topic} within {_ENDS_SECONDS_MAX:.0f} s")
                consumer.poll(_POLL_MS, max_records=1)
            return {partition: int(end) for partition, end in marks.items() if end is not None}

    def reached(self, group: str, topic: str) -> dict[int, int]:
        """As `TopicOffsets.reached`: what was committed, or where the topic begins if that is later."""
        with self._consumer(topic, group_id=group) as (consumer, partitions):
            starts = consumer.beginning_offsets(partitions)
            return {
                each.partition: max(int(starts[each]), int(consumer.committed(each, timeout_ms=_REQUEST_MS_MAX) or 0))
                for each in partitions
            }

    @contextmanager
    def _consumer(self, topic: str, **config: str) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
        consumer = None
        try:
            consumer = KafkaConsumer(**self._config, **config)
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise LogUnavailable(f"the brokers know no partitions of {topic}")
            partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
            consumer.assign(partitions)
            yield consumer, partitions
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            if consumer is not None:
                consumer.close(autocommit=False, timeout_ms=_CONNECT_MS_MAX)
