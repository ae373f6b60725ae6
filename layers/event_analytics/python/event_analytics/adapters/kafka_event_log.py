"""kafka-python as an `EventLog`: acknowledged by all in-sync replicas, or reported as not known.

One producer per process, kept between invocations. After any failure it is closed with its buffer thrown away: a
frozen Lambda would otherwise deliver the leftovers minutes later, out of order. A failure that comes at once (the
broker forgot the producer) is tried again with a new one, in the time that is left.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from event_analytics.adapters import kafka_bulk
from event_analytics.adapters.kafka_bulk import Sent, has_offset, headers_of
from event_analytics.errors import LogUnavailable
from event_analytics.record_times import date_records
from event_analytics.routing import Record, partition_of
from event_analytics.spool import from_first_failure

ACKNOWLEDGE_SECONDS_MAX: Final = 5.0  # below the function's 15 s with 3 s left for a spool and the answer
_CONNECT_MS_MAX: Final = 2_000  # kafka-python tries again within it, with back-off and jitter
_OPEN_SECONDS_MAX: Final = 3.0  # of a whole opening: a broker that answers slowly, or names that do not resolve
_FIND_TOPIC_SECONDS_MAX: Final = 2.0  # for each topic once; a missing one must not use up the time of the others
_CLOSE_SECONDS_MAX: Final = 0.5  # its thread ends within milliseconds, unless it waits for a broker that is silent
_ATTEMPTS_MAX: Final = 3  # one to learn that the broker forgot the producer, one to send, one more
_ATTEMPT_SECONDS_MIN: Final = 0.5  # a shorter one would hardly connect
_BACKOFF_SECONDS_FIRST: Final = 0.05  # doubled each time; half of it is chance
_LINGER_MS: Final = 5  # lets the records of one request travel together
_BATCH_BYTES: Final = 262_144
_REQUEST_BYTES_MAX: Final = 1_048_576  # Kafka's default message.max.bytes; one event stays below 900 kB
SECURITY_CONFIG: Final[dict[str, dict[str, Any]]] = {
    "plaintext": {},
    "tls": {"security_protocol": "SSL"},
    "msk-iam": {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"},
}
# ValueError: a topic that came back with fewer partitions.
_FAILURES: Final = (KafkaError, OSError, ValueError)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class KafkaEventLog:
    """Appends records where `routing` says they belong, bearing the time that `record_times` says.

    `appends_batches`: whether they are encoded here and handed over as batches (`kafka_bulk`). `now_ms`: Unix
    milliseconds, as the brokers have them.
    """

    def __init__(
        self,
        bootstrap: str,
        security: str,
        client_id: str = "tallystream-ingest",
        *,
        appends_batches: bool = kafka_bulk.IS_KNOWN,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self._config: dict[str, Any] = {
            "bootstrap_servers": bootstrap.split(","),
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0 if appends_batches else _LINGER_MS,
            "batch_size": _BATCH_BYTES,
            "compression_type": "lz4",
            "max_request_size": _REQUEST_BYTES_MAX,
            "max_in_flight_requests_per_connection": 5,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,  # nobody reads them: they stay inside the process
            "bootstrap_timeout_ms": _CONNECT_MS_MAX,
            "max_block_ms": _CONNECT_MS_MAX,
            "request_timeout_ms": int(ACKNOWLEDGE_SECONDS_MAX * 1_000),
            "delivery_timeout_ms": int(ACKNOWLEDGE_SECONDS_MAX * 1_000) + _LINGER_MS,
            **SECURITY_CONFIG[security],
        }
        self._appends_batches = appends_batches
        self._now_ms = now_ms
        self._producer: KafkaProducer | None = None
        self._partitions: dict[str, int] = {}

    def append(self, records: Sequence[Record]) -> list[bool]:
        """As `EventLog.append`; within ACKNOWLEDGE_SECONDS_MAX and the half second that stopping a producer may take.

        Raises:
            LogUnavailable: no broker could be reached, so nothing was sent.
        """
        deadline = time.monotonic() + ACKNOWLEDGE_SECONDS_MAX
        records = date_records(records, self._now_ms())
        acknowledged = [False] * len(records)
        rest = list(range(len(records)))
        for attempt in range(_ATTEMPTS_MAX):
            if not rest or not _slept_before(attempt, deadline):
                break
            try:
                answers = self._attempt([records[index] for index in rest], deadline)
            except LogUnavailable:
                if attempt:
                    break  # something was sent before
                raise
            for index, is_acknowledged in zip(rest, answers, strict=True):
                acknowledged[index] |= is_acknowledged
            rest = from_first_failure(records, acknowledged)
            if rest:
                self._forget_producer()
        return acknowledged

    def close(self) -> None:
        """Stop the producer, unsent records included."""
        self._forget_producer()

    def _attempt(self, records: Sequence[Record], deadline: float) -> list[bool]:
        producer = self._connected(deadline)
        sent: list[Sent] = []
        for topic, indexes in _by_topic(records).items():
            with suppress(*_FAILURES):  # nothing overtakes a record that could not be sent, other topics go on
                sent += self._send(producer, topic, indexes, records, deadline)
        kafka_bulk.wake(producer)
        acknowledged = [False] * len(records)
        for part in sent:
            is_there = part.is_acknowledged(max(0.0, deadline - time.monotonic()))
            for index in part.indexes:
                acknowledged[index] = is_there
        return acknowledged

    def _connected(self, deadline: float) -> KafkaProducer:
        if self._producer is None:
            try:
                self._producer = _open_within(self._config, min(_OPEN_SECONDS_MAX, deadline - time.monotonic()))
            except _FAILURES as error:
                raise LogUnavailable(f"{type(error).__name__}: {error}") from error
            self._partitions = {}
        return self._producer

    def _send(
        self, producer: KafkaProducer, topic: str, indexes: Sequence[int], records: Sequence[Record], deadline: float
    ) -> list[Sent]:
        partitions = self._partitions.get(topic)
        if partitions is None:
            partitions = self._partitions[topic] = _count_partitions(producer, topic, deadline)
        places: defaultdict[int, list[int]] = defaultdict(list)
        for index in indexes:
            places[partition_of(topic, records[index].key, partitions)].append(index)
        send = kafka_bulk.append_batches if self._appends_batches else _send_each
        return [
            sent
            for partition, those in places.items()
            for sent in send(producer, TopicPartition(topic, partition), those, records)
        ]

    def _forget_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _discard(producer)


def _slept_before(attempt: int, deadline: float) -> bool:
    """Back off with jitter, except before the first; False, at once, where no time would be left for the attempt."""
    if not attempt:
        return True
    longest = _BACKOFF_SECONDS_FIRST * 2**attempt
    seconds = longest / 2 + secrets.randbelow(1_000) / 1_000 * longest / 2
    if time.monotonic() + seconds + _ATTEMPT_SECONDS_MIN > deadline:
        return False
    time.sleep(seconds)
    return True


def _open_within(config: dict[str, Any], seconds: float) -> KafkaProducer:
    """A connected producer in time. kafka-python bounds each step of connecting, but neither their sum nor DNS.

    Raises:
        KafkaError, OSError: not connected; a producer that connects later is closed.
    """
    opener = ThreadPoolExecutor(1, thread_name_prefix="kafka-open")
    opened = opener.submit(_open_producer, config)
    opener.shutdown(wait=False)
    try:
        return opened.result(timeout=max(0.0, seconds))
    except TimeoutError as error:
        opened.add_done_callback(_discard_late)
        raise KafkaTimeoutError(f"not connected within {seconds:.1f} s") from error


def _discard_late(opened: Future[KafkaProducer]) -> None:
    if opened.exception() is None:
        _discard(opened.result())


def _open_producer(config: dict[str, Any]) -> KafkaProducer:
    """A producer that is connected. One that fails to connect is closed: kafka-python would keep its sockets open."""
    clients: list[KafkaNetClient] = []

    def open_client(**client_config: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**client_config))
        return clients[-1]

    try:
        return KafkaProducer(**config, kafka_client=open_client)
    except _FAILURES:
        for client in clients:
            client.close()
        raise


def _discard(producer: KafkaProducer) -> None:
    """Stop the producer and throw its buffer away.

    `close()` alone would flush first, and give up in the middle when that takes too long: nothing would be stopped.
    """
    producer._sender.force_close()
    producer._sender.join(_CLOSE_SECONDS_MAX)
    with suppress(KafkaError):  # the flush of a thread that has not ended yet
        producer.close(timeout=0)
    producer._closed = True  # else the garbage collector closes, and flushes, once more


def _count_partitions(producer: KafkaProducer, topic: str, deadline: float) -> int:
    """Number of partitions.

    Raises:
        KafkaError: the broker did not say in time. `partitions_for` waits for a fixed time, whatever is left of ours.
    """
    seconds = min(_FIND_TOPIC_SECONDS_MAX, deadline - time.monotonic())
    return len(producer._wait_on_metadata(topic, max(1, int(seconds * 1_000))))


def _by_topic(records: Sequence[Record]) -> dict[str, list[int]]:
    indexes: defaultdict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        indexes[record.topic].append(index)
    return indexes


def _send_each(
    producer: KafkaProducer, place: TopicPartition, indexes: Sequence[int], records: Sequence[Record]
) -> Iterator[Sent]:
    """The public way, a record at a time."""
    for index in indexes:
        record = records[index]
        future = producer.send(
            place.topic,
            key=record.key,
            value=record.value,
            partition=place.partition,
            timestamp_ms=record.timestamp_ms,
            headers=list(headers_of(record)) or None,
        )
        yield Sent([index], partial(_is_acknowledged, future))


def _is_acknowledged(future: Any, seconds: float) -> bool:
    try:
        acknowledged = future.get(timeout=seconds)
    except KafkaError:
        return False
    return has_offset(acknowledged.offset)
