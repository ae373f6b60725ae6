"""The Kafka client of one mapping: kafka-python, handing out whole record batches as the broker sent them.

What kafka-python does with each record (an object, sizes, a generator's turn) is three quarters of what it costs.
So the class that unpacks a partition's answer is replaced in the one place where the fetcher looks it up; everything
else (connections, metadata, offsets, positions, errors) stays the client's.
"""

from __future__ import annotations

import zlib
from typing import Any

import crc32c
from kafka import KafkaConsumer, TopicPartition
from kafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from kafka.errors import CorruptRecordError

from local_runtime.kafka_trigger.record_batch import BadBatch, RawBatch, split_batches

BOOTSTRAP_TIMEOUT_MS = 5_000  # the runner tries again; a longer wait would only delay a stop
REQUEST_TIMEOUT_MS = 10_000  # a broker that restarts answers again within a second
COMMIT_TIMEOUT_MS = 5_000
RECONNECT_BACKOFF_MAX_MS = 1_000  # the broker is on this machine and back at once
# The embedded broker answers after about half of it: 32 ms, for 1.6 % of a core when idle.
FETCH_WAIT_MS_MAX = 100
# For a topic that was quiet for a while: half of what an idle mapping costs, for a first record 200 ms later at most.
QUIET_FETCH_WAIT_MS_MAX = 500
# The embedded broker on S3 lists all batches of a partition for each fetch, and returns nothing when the wait is over
# before the list. Below the time-out of a request.
STARVED_FETCH_WAIT_MS_MAX = 5_000
FETCH_BYTES_MAX = 8 * 1024 * 1024  # a little above one Lambda payload
PARTITION_FETCH_BYTES_MAX = 2 * 1024 * 1024
METADATA_AGE_MAX_MS = 10_000  # how long a partition that was added stays unseen

# No library for a codec, no such codec, and what the libraries raise on bytes that their codec did not make.
_UNREADABLE = (NotImplementedError, KeyError, OSError, EOFError, ValueError, RuntimeError, zlib.error)
_DECODERS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}


def connect(bootstrap_servers: str, group: str) -> KafkaConsumer:
    """Return a consumer that commits for the group without joining it; its records are `RawBatch`es.

    Raises:
        kafka.errors.KafkaError: the broker does not answer.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
        metadata_max_age_ms=METADATA_AGE_MAX_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
        fetch_max_bytes=FETCH_BYTES_MAX,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
    )
    consumer._fetcher.PartitionRecords = PartitionBatches  # kafka-python is pinned, and a test reads through it
    ask_for_no_topic_by_name(consumer)
    return consumer


def ask_for_no_topic_by_name(consumer: KafkaConsumer) -> None:
    """Make the client ask for the metadata of all topics at once.

    The embedded broker creates a topic that metadata is asked for by name, whatever the request says about it: after a
    restart of a broker on memory the trigger would have made the topics, with the wrong number of partitions.
    """
    consumer._cluster.need_all_topic_metadata = True


def set_fetch_wait(consumer: KafkaConsumer, wait_ms: int) -> None:
    """Let the broker take so long for each fetch from now on."""
    consumer._fetcher.config["fetch_max_wait_ms"] = wait_ms


def unpack(batch: RawBatch) -> bytes:
    """Return the batch's records without compression.

    Raises:
        kafka.errors.KafkaError: the library of its codec is not installed, the codec is unknown, or the bytes are not
            what it makes.
    """
    if not batch.codec:
        return batch.payload
    try:
        return bytes(_DECODERS[batch.codec](batch.payload))
    except _UNREADABLE as error:
        raise CorruptRecordError(f"codec {batch.codec} cannot be read here: {error}") from error


class PartitionBatches:
    """What kafka-python's fetcher keeps of one partition's answer: as its own class, with batches for records."""

    def __init__(
        self,
        fetch_offset: int,
        tp: TopicPartition,
        records: Any,
        *,
        metric_aggregator: Any = None,
        on_drain: Any = None,
        **_: Any,
    ) -> None:
        self.topic_partition = tp
        self.next_fetch_offset = fetch_offset
        self.leader_epoch = -1
        self.bytes_read = 0
        self._log: Any = records._buffer
        self._metric_aggregator = metric_aggregator
        self._on_drain = on_drain

    def __bool__(self) -> bool:
        return self._log is not None

    def take(self, _most: int | None = None) -> list[RawBatch]:
        """Return all batches at once: they are not unpacked yet, so nothing is gained by stopping half-way."""
        try:
            batches = split_batches(self._log, self.next_fetch_offset, crc32c.crc32c)
        except BadBatch as error:
            raise CorruptRecordError(f"{self.topic_partition}: {error}") from error
        self.bytes_read = len(self._log)
        if batches:
            self.next_fetch_offset = batches[-1].last_offset + 1
        self.drain()
        return batches

    def drain(self) -> None:
        """Say that nothing is left."""
        if self._log is not None:
            self._log = None
            if self._metric_aggregator:
                self._metric_aggregator.record(self.topic_partition, self.bytes_read, 0)
            self._on_drain(self)
