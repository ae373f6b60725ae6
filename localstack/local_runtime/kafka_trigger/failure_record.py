"""What an on-failure destination gets, in AWS's shape.

Metadata for SQS and SNS, the event beside it for S3, one message per record for Kafka.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from local_runtime.kafka_trigger.batch import Batch, Slice
from local_runtime.kafka_trigger.event_shape import EventShape
from local_runtime.kafka_trigger.retry import Condition, GivenUp, Outcome

# The documentation's example of a message to a Kafka topic has another word than the one for queues and buckets.
KAFKA_CONDITIONS = {Condition.RETRIES_EXHAUSTED: "RetriesExhausted"}


@dataclass(frozen=True)
class Origin:
    """Where records come from: what stands in every failure record of one mapping."""

    function_arn: str
    mapping_uuid: str
    bootstrap_servers: str
    event_source_arn: str | None
    shape: EventShape


class KafkaMessage(NamedTuple):
    """One record for a Kafka destination. A key of None goes to any partition."""

    key: bytes | None
    value: bytes


def describe_batch(origin: Origin, given_up: GivenUp, now_ms: int) -> dict[str, Any]:
    """Return the document for SQS and SNS: which records, not what they hold."""
    batch = given_up.batch
    partitions = {f"{origin.shape.topic}-{part.partition}": _describe_slice(part) for part in batch.slices}
    return _describe(origin, given_up, given_up.condition.value, now_ms) | {
        "KafkaBatchInfo": _describe_size(origin, batch) | {"recordsInfo": partitions}
    }


def describe_object(origin: Origin, given_up: GivenUp, now_ms: int) -> dict[str, Any]:
    """Return the document for S3: the same, and the whole event as a string."""
    payload = given_up.batch.payload(origin.shape).decode("ascii")
    return describe_batch(origin, given_up, now_ms) | {"payload": payload}


def describe_records(origin: Origin, given_up: GivenUp, now_ms: int) -> list[KafkaMessage]:
    """Return the messages for a Kafka topic: one per record, with its key and an event of it alone."""
    condition = KAFKA_CONDITIONS.get(given_up.condition, given_up.condition.value)
    messages = []
    for single in given_up.batch.singles():
        (part,) = single.slices
        payload = json.loads(single.payload(origin.shape))
        (record,) = payload["records"][f"{origin.shape.topic}-{part.partition}"]
        place = {"offset": str(part.offsets[0]), "timestamp": _to_text(part.timestamps[0])}
        document = _describe(origin, given_up, condition, now_ms) | {
            "KafkaBatchInfo": _describe_size(origin, single) | {"recordInfo": place},
            "payload": payload,
        }
        key = None if record["key"] is None else b64decode(record["key"])
        messages.append(KafkaMessage(key, json.dumps(document).encode()))
    return messages


def object_key(origin: Origin, given_up: GivenUp, now_ms: int, unique: str) -> str:
    """Return the key of the S3 object, in the form that AWS documents for streams, with the first partition."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    shard = f"{origin.shape.topic}-{given_up.batch.slices[0].partition}"
    return f"aws/lambda/{origin.mapping_uuid}/{shard}/{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{unique}"


def _describe(origin: Origin, given_up: GivenUp, condition: str, now_ms: int) -> dict[str, Any]:
    outcome = given_up.outcome
    return {
        "requestContext": {
            "requestId": outcome.request_id if outcome else "",
            "functionArn": origin.function_arn,
            "condition": condition,
            "approximateInvokeCount": given_up.invokes,
        },
        "responseContext": _describe_response(outcome),
        "version": "1.0",
        "timestamp": _to_text(now_ms),
    }


def _describe_response(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "statusCode": outcome.status_code,
        "executedVersion": outcome.executed_version,
        "functionError": outcome.function_error,
    }


def _describe_size(origin: Origin, batch: Batch) -> dict[str, Any]:
    return {
        "batchSize": batch.count,
        "eventSourceArn": origin.event_source_arn,
        "bootstrapServers": origin.bootstrap_servers,
        "payloadSize": len(batch.payload(origin.shape)),
    }


def _describe_slice(part: Slice) -> dict[str, str]:
    return {
        "firstRecordOffset": str(part.offsets[0]),
        "lastRecordOffset": str(part.offsets[-1]),
        "firstRecordTimestamp": _to_text(part.timestamps[0]),
        "lastRecordTimestamp": _to_text(part.timestamps[-1]),
    }


def _to_text(epoch_ms: int) -> str:
    moment = datetime.fromtimestamp(max(epoch_ms, 0) / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
