"""On-failure destinations: hands given up records to a queue, a topic, a bucket or a Kafka topic.

Returns only when the destination has them. AWS counts a delivery that fails and drops the records; here it is tried
for ever, since a destination that is wrong is what a person at a desk wants to see and mend.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from local_runtime.kafka_trigger.failure_record import (
    Origin,
    describe_batch,
    describe_object,
    describe_records,
    object_key,
)
from local_runtime.kafka_trigger.invoker import make_client
from local_runtime.kafka_trigger.mapping import Destination
from local_runtime.kafka_trigger.retry import GivenUp

SEND_SECONDS_MAX = 10.0
REQUEST_BYTES_MAX = 16 * 1024 * 1024  # a record in base64, in an event, in a document, escaped


class DeliveryFailed(Exception):  # noqa: N818 - a name, not a grade
    """The destination does not have the records; the message says why."""


class Destinations(Protocol):
    """Port to on-failure destinations. Called from several threads at once."""

    def deliver(self, destination: Destination, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        """Return once the destination has the records.

        Raises:
            DeliveryFailed: it does not take them now.
        """


class AwsDestinations:
    """SQS, SNS and S3 at the endpoint, topics at the broker; clients are made when first needed."""

    def __init__(self, endpoint_url: str | None, bootstrap_servers: str) -> None:
        self._client = cache(partial(make_client, endpoint_url=endpoint_url))
        self._producer = cache(partial(_connect_producer, bootstrap_servers))

    def deliver(self, destination: Destination, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        """Implement `Destinations.deliver`."""
        from botocore.exceptions import BotoCoreError, ClientError

        deliver: dict[str, Callable[[str, Origin, GivenUp, int], Any]] = {
            "sqs": self._to_queue,
            "sns": self._to_topic,
            "s3": self._to_bucket,
            "kafka": self._to_kafka,
        }
        try:
            deliver[destination.kind](destination.target, origin, given_up, now_ms)
        except (BotoCoreError, ClientError, KafkaError, OSError) as error:
            raise DeliveryFailed(f"destination {destination.target}: {error}") from error

    def _to_queue(self, arn: str, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        client = self._client("sqs")
        url = client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody=json.dumps(describe_batch(origin, given_up, now_ms)))

    def _to_topic(self, arn: str, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        self._client("sns").publish(TopicArn=arn, Message=json.dumps(describe_batch(origin, given_up, now_ms)))

    def _to_bucket(self, arn: str, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        key = object_key(origin, given_up, now_ms, str(uuid.uuid4()))
        body = json.dumps(describe_object(origin, given_up, now_ms)).encode()
        self._client("s3").put_object(Bucket=arn.rpartition(":")[2], Key=key, Body=body)

    def _to_kafka(self, topic: str, origin: Origin, given_up: GivenUp, now_ms: int) -> None:
        producer = self._producer()
        messages = describe_records(origin, given_up, now_ms)
        for sent in [producer.send(topic, message.value, key=message.key) for message in messages]:
            sent.get(SEND_SECONDS_MAX)


def _connect_producer(bootstrap_servers: str) -> KafkaProducer:
    # Not idempotent: such a producer is dead for good once a memory broker has been started anew.
    return KafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        enable_idempotence=False,
        allow_auto_create_topics=False,
        max_request_size=REQUEST_BYTES_MAX,
        max_block_ms=int(SEND_SECONDS_MAX * 1000),
    )
