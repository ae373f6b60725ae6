"""kafka-python as an `EventLog`: acknowledged by all in-sync replicas, or reported as not known.

One producer per process, kept between invocations. After any failure it is closed with its buffer thrown away: a
frozen Lambda would otherwise deliver the leftovers minutes later, out of order.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from event_analytics.errors import LogUnavailable
from event_analytics.routing import Record, partition_of

ACKNOWLEDGE_SECONDS_MAX: Final = 5.0  # below the function's 15 s with 3 s left for a spool and the answer
_CONNECT_MS_MAX: Final = 2_000  # each of connecting and finding the topic: together they leave time to send
_LINGER_MS: Final = 5  # lets the records of one request travel together
_BATCH_BYTES: Final = 262_144
_REQUEST_BYTES_MAX: Final = 1_048_576  # Kafka's default message.max.bytes; one event stays below 900 kB
_SECURITY: Final[dict[str, dict[str, Any]]] = {
    "plaintext": {},
    "msk-iam": {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"},
}


class KafkaEventLog:
    """Appends records where `routing` says they belong."""

    def __init__(self, bootstrap: str, security: str, client_id: str = "tallystream-ingest") -> None:
        self._config: dict[str, Any] = {
            "bootstrap_servers": bootstrap.split(","),
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": _LINGER_MS,
            "batch_size": _BATCH_BYTES,
            "compression_type": "lz4",
            "max_request_size": _REQUEST_BYTES_MAX,
            "max_in_flight_requests_per_connection": 5,
            "allow_auto_create_topics": False,
            "bootstrap_timeout_ms": _CONNECT_MS_MAX,
            "max_block_ms": _CONNECT_MS_MAX,
            "request_timeout_ms": int(ACKNOWLEDGE_SECONDS_MAX * 1_000),
            "delivery_timeout_ms": int(ACKNOWLEDGE_SECONDS_MAX * 1_000) + _LINGER_MS,
            **_SECURITY[security],
        }
        self._producer: KafkaProducer | None = None
        self._partitions: dict[str, int] = {}

    def append(self, records: Sequence[Record]) -> list[bool]:
        """As `EventLog.append`; within ACKNOWLEDGE_SECONDS_MAX.

        Raises:
            LogUnavailable: no broker could be reached, so nothing was sent.
        """
        deadline = time.monotonic() + ACKNOWLEDGE_SECONDS_MAX
        futures: list[Any] = []
        try:
            producer = self._connected()
            futures.extend(self._send(producer, record) for record in records)  # keeps those sent before an error
        except (KafkaError, TimeoutError) as error:
            self._forget_producer()
            if not futures:
                raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        acknowledged = [_is_acknowledged(future, deadline) for future in futures]
        acknowledged += [False] * (len(records) - len(futures))
        if not all(acknowledged):
            self._forget_producer()
        return acknowledged

    def close(self) -> None:
        """Stop the producer, unsent records included."""
        self._forget_producer()

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = _open_producer(self._config)
            self._partitions = {}
        return self._producer

    def _send(self, producer: KafkaProducer, record: Record) -> Any:
        partitions = self._partitions.get(record.topic)
        if partitions is None:
            partitions = self._partitions[record.topic] = len(producer.partitions_for(record.topic))
        return producer.send(
            record.topic,
            key=record.key,
            value=record.value,
            partition=partition_of(record.key, partitions),
            timestamp_ms=record.timestamp_ms,
        )

    def _forget_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaTimeoutError):  # close() flushes first; what is left is thrown away below
                producer.close(timeout=0)
            if producer._sender is not None:
                producer._sender.force_close()


def _open_producer(config: dict[str, Any]) -> KafkaProducer:
    """A producer that is connected. One that fails to connect is closed: kafka-python would keep its sockets open."""
    clients: list[KafkaNetClient] = []

    def open_client(**client_config: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**client_config))
        return clients[-1]

    try:
        return KafkaProducer(**config, kafka_client=open_client)
    except KafkaError:
        for client in clients:
            client.close()
        raise


def _is_acknowledged(future: Any, deadline: float) -> bool:
    try:
        future.get(timeout=max(0.0, deadline - time.monotonic()))
    except KafkaError:
        return False
    return True
