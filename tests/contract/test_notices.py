"""`Notices`: SNS delivers subject and text, as moto has it, to a queue that listens."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from event_analytics.adapters.sns_notices import SnsNotices


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any, str]]:
    """ARN of a topic, a client of queues, and the URL of one that gets what the topic gets."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        sns, sqs = (boto3.client(service, region_name="us-east-1") for service in ("sns", "sqs"))
        arn = sns.create_topic(Name="summaries")["TopicArn"]
        url = sqs.create_queue(QueueName="reader")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
        yield arn, sqs, url


def test_a_notice_arrives_with_a_subject_that_sns_takes(topic: tuple[str, Any, str]) -> None:
    arn, sqs, url = topic

    SnsNotices(arn, boto3.client("sns", region_name="us-east-1")).publish("Grüße " + "x" * 200, "über alles")

    message = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    assert message["Message"] == "über alles"
    assert message["Subject"].startswith("Gr??e x")
    assert len(message["Subject"]) == 100
