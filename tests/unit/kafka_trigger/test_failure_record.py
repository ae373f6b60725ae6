"""The documents that a destination gets, member by member as AWS's documentation shows them."""

from __future__ import annotations

import json

from local_runtime.kafka_trigger.failure_record import (
    Origin,
    describe_batch,
    describe_object,
    describe_records,
    object_key,
)
from local_runtime.kafka_trigger.retry import Condition, GivenUp, Outcome, Verdict

from .trigger_batches import SHAPE, make_batch

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ORIGIN = Origin(ARN, "uuid-1", "b:9092", "arn", SHAPE)
RAISED = Outcome(Verdict.FUNCTION_ERROR, b"{}", request_id="r-1", function_error="Unhandled")
BATCH = make_batch({0: [5, 6], 2: [9]})
EXHAUSTED = GivenUp(BATCH, Condition.RETRIES_EXHAUSTED, 3, RAISED)
NOW_MS = 1_700_000_000_123


def test_queue_and_topic_get_metadata_without_records() -> None:
    assert describe_batch(ORIGIN, EXHAUSTED, NOW_MS) == {
        "requestContext": {
            "requestId": "r-1",
            "functionArn": ARN,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "KafkaBatchInfo": {
            "batchSize": 3,
            "eventSourceArn": "arn",
            "bootstrapServers": "b:9092",
            "payloadSize": len(BATCH.payload(SHAPE)),
            "recordsInfo": {
                "t-0": {
                    "firstRecordOffset": "5",
                    "lastRecordOffset": "6",
                    "firstRecordTimestamp": "1970-01-01T00:00:01.005Z",
                    "lastRecordTimestamp": "1970-01-01T00:00:01.006Z",
                },
                "t-2": {
                    "firstRecordOffset": "9",
                    "lastRecordOffset": "9",
                    "firstRecordTimestamp": "1970-01-01T00:00:01.009Z",
                    "lastRecordTimestamp": "1970-01-01T00:00:01.009Z",
                },
            },
        },
    }


def test_bucket_gets_the_whole_event_as_a_string_beside_it() -> None:
    document = describe_object(ORIGIN, EXHAUSTED, NOW_MS)

    assert document.pop("payload") == BATCH.payload(SHAPE).decode()
    assert document == describe_batch(ORIGIN, EXHAUSTED, NOW_MS)


def test_kafka_topic_gets_one_message_per_record_with_its_key_and_an_event_object() -> None:
    messages = describe_records(ORIGIN, EXHAUSTED, NOW_MS)
    document = json.loads(messages[1].value)

    assert [message.key for message in messages] == [b"key"] * 3
    assert document["requestContext"]["condition"] == "RetriesExhausted"
    assert document["KafkaBatchInfo"]["batchSize"] == 1
    assert document["KafkaBatchInfo"]["recordInfo"] == {"offset": "6", "timestamp": "1970-01-01T00:00:01.006Z"}
    assert [record["offset"] for record in document["payload"]["records"]["t-0"]] == [6]


def test_records_that_were_never_sent_have_no_response() -> None:
    document = describe_batch(ORIGIN, GivenUp(BATCH, Condition.TOO_LARGE), NOW_MS)

    assert document["responseContext"] is None
    assert document["requestContext"]["condition"] == "MaximumPayloadSizeExceeded"
    assert document["requestContext"]["approximateInvokeCount"] == 0


def test_object_key_names_mapping_partition_and_time() -> None:
    key = object_key(ORIGIN, EXHAUSTED, NOW_MS, "u")

    assert key == "aws/lambda/uuid-1/t-0/2023/11/14/2023-11-14T22.13.20-u"
