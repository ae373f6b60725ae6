"""Conformance on a real Lambda endpoint, with a real function and real destinations: points 13, 14, 17, 23 and 24."""

from __future__ import annotations

import io
import json
import textwrap
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from local_runtime.kafka_trigger.invoker import make_client
from tests.conftest import EmbeddedStack

from .conftest import Broker, Play, wait_for

HANDLER = textwrap.dedent(
    """
    import base64, time

    def handler(event, context):
        records = [record for part in event["records"].values() for record in part]
        values = [base64.b64decode(record["value"]).decode() for record in records]
        print(values)  # a function that logs nothing costs MiniStack 45 ms
        if "bad" in values:
            raise ValueError("bad")
        if "slow" in values:
            time.sleep(5)
        failed = [record for record, value in zip(records, values) if value == "refused"]
        return {"batchItemFailures": [
            {"itemIdentifier": {"partition": f"{one['topic']}-{one['partition']}", "offset": one["offset"]}}
            for one in failed
        ]}
    """
)
ROLE = "arn:aws:iam::000000000000:role/any"
ONE_RETRY = {
    "ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 1},
    "MaximumRetryAttempts": 1,
    "MaximumBatchingWindowInSeconds": 1,
}


@dataclass(frozen=True)
class Place:
    """The shared stack's endpoint and broker, and a function at it."""

    endpoint_url: str
    broker: Broker
    function: str

    def client(self, service: str) -> Any:
        return make_client(service, self.endpoint_url)


@pytest.fixture(scope="module")
def place(stack: EmbeddedStack) -> Iterator[Place]:
    endpoint_url = stack.connection.aws_endpoint
    broker = Broker(port=int(stack.connection.kafka.rpartition(":")[2]))
    place = Place(endpoint_url, broker, f"trigger-{uuid.uuid4().hex[:8]}")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", HANDLER)
    client = place.client("lambda")
    client.create_function(
        FunctionName=place.function,
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Timeout=1,
        Code={"ZipFile": code.getvalue()},
    )
    yield place
    client.delete_function(FunctionName=place.function)
    client.close()


@pytest.fixture
def play_here(place: Place, play: Play) -> Callable[..., Any]:
    def start(topic: str, **properties: Any) -> Any:
        more = {"FunctionName": place.function, "DestinationConfig": {}, **properties}
        return play(place.broker, topic, endpoint_url=place.endpoint_url, **more)

    return start


def on_failure(target: str) -> dict[str, Any]:
    return {"DestinationConfig": {"OnFailure": {"Destination": target}}, "BisectBatchOnFunctionError": True}


def make_queue(place: Place) -> tuple[str, str]:
    """Return URL and ARN of a new queue."""
    client = place.client("sqs")
    url = client.create_queue(QueueName=f"failed-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    return url, client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(place: Place, url: str) -> dict[str, Any]:
    (message,) = place.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    return dict(json.loads(message["Body"]))


def assert_is_about_the_bad_record(document: dict[str, Any], place: Place, topic: str) -> None:
    context = document["requestContext"]
    assert context["functionArn"].endswith(f":{place.function}")
    assert context["approximateInvokeCount"] == 4  # in the batch of 3, in the half of 2, alone, alone again
    assert document["responseContext"]["functionError"] == "Unhandled"
    assert document["KafkaBatchInfo"]["batchSize"] == 1


def send_one_bad(place: Place) -> str:
    topic = place.broker.topic(1)
    place.broker.send(topic, [b"good", b"bad", b"better"], key=b"k")
    return topic


def test_point_17_queue_gets_metadata_without_records(place: Place, play_here: Callable[..., Any]) -> None:
    topic, (url, arn) = send_one_bad(place), make_queue(place)
    player = play_here(topic, **ONE_RETRY, **on_failure(arn))
    player.wait_until_caught_up()
    document = receive(place, url)

    assert_is_about_the_bad_record(document, place, topic)
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["KafkaBatchInfo"]["recordsInfo"][f"{topic}-0"]["firstRecordOffset"] == "1"
    assert "payload" not in document
    assert [player.status()[key] for key in ("dropped", "delivered", "committed")] == [1, 1, 3]


def test_point_17_topic_gets_the_same_as_a_queue(place: Place, play_here: Callable[..., Any]) -> None:
    topic, (url, queue_arn) = send_one_bad(place), make_queue(place)
    sns = place.client("sns")
    arn = sns.create_topic(Name=f"failed-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    play_here(topic, **ONE_RETRY, **on_failure(arn)).wait_until_caught_up()
    document = json.loads(receive(place, url)["Message"])

    assert_is_about_the_bad_record(document, place, topic)
    assert "payload" not in document


def test_point_17_bucket_gets_the_event_as_a_string(place: Place, play_here: Callable[..., Any]) -> None:
    topic, s3 = send_one_bad(place), place.client("s3")
    bucket = f"failed-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    play_here(topic, **ONE_RETRY, **on_failure(f"arn:aws:s3:::{bucket}")).wait_until_caught_up()
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    document = json.loads(s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read())

    assert_is_about_the_bad_record(document, place, topic)
    assert listed["Key"].startswith("aws/lambda/")
    (record,) = json.loads(document["payload"])["records"][f"{topic}-0"]
    assert (record["offset"], record["value"]) == (1, "YmFk")


def test_point_17_kafka_topic_gets_one_message_per_record_with_its_key(
    place: Place, play_here: Callable[..., Any]
) -> None:
    topic, failed = send_one_bad(place), place.broker.topic(1)
    play_here(topic, **ONE_RETRY, **on_failure(f"kafka://{failed}")).wait_until_caught_up()
    consumer = KafkaConsumer(bootstrap_servers=place.broker.bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(failed, 0)])
    (messages,) = consumer.poll(10_000).values()
    consumer.close()
    document = json.loads(messages[0].value)

    assert len(messages) == 1
    assert messages[0].key == b"k"
    assert_is_about_the_bad_record(document, place, topic)
    assert document["requestContext"]["condition"] == "RetriesExhausted"
    assert document["KafkaBatchInfo"]["recordInfo"]["offset"] == "1"
    assert [record["value"] for record in document["payload"]["records"][f"{topic}-0"]] == ["YmFk"]


def test_point_14_function_that_reports_a_record_gets_it_alone_again(
    place: Place, play_here: Callable[..., Any]
) -> None:
    topic = place.broker.topic(1)
    place.broker.send(topic, [b"good", b"refused", b"better"])
    player = play_here(topic, **ONE_RETRY, FunctionResponseTypes=["ReportBatchItemFailures"])
    player.wait_until_caught_up()

    assert [player.status()[key] for key in ("invoked", "dropped", "committed")] == [4, 1, 3]


def test_point_23_function_that_runs_into_its_time_limit_is_retried(
    place: Place, play_here: Callable[..., Any]
) -> None:
    topic = place.broker.topic(1)
    place.broker.send(topic, [b"slow"])
    player = play_here(topic, **ONE_RETRY)
    player.wait_until_caught_up()

    assert [player.status()[key] for key in ("invocations", "failed_invocations", "dropped")] == [2, 2, 1]


def test_point_24_throttled_function_gets_everything_once_it_may_run(
    place: Place, play_here: Callable[..., Any]
) -> None:
    topic, client = place.broker.topic(1), place.client("lambda")
    client.put_function_concurrency(FunctionName=place.function, ReservedConcurrentExecutions=0)
    place.broker.send(topic, [b"good"])
    player = play_here(topic, **ONE_RETRY)
    wait_for(lambda: player.status()["throttled_invocations"] >= 3, "throttling beyond the limit of retries")
    client.delete_function_concurrency(FunctionName=place.function)
    player.wait_until_caught_up()

    assert [player.status()[key] for key in ("dropped", "committed")] == [0, 1]


def test_point_17_oversize_record_goes_to_the_destination_unsent(place: Place, play_here: Callable[..., Any]) -> None:
    topic, (url, arn) = place.broker.topic(1), make_queue(place)
    place.broker.send(topic, [b"good", b"x" * 5_000_000, b"better"])
    player = play_here(topic, **ONE_RETRY, **on_failure(arn))
    player.wait_until_caught_up()
    document = receive(place, url)

    assert document["requestContext"]["condition"] == "MaximumPayloadSizeExceeded"
    assert document["responseContext"] is None
    assert player.status()["committed"] == 3
