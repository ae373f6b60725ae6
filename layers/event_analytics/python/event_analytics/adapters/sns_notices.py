"""SNS as `Notices`."""

from typing import Any, Final

import boto3

SUBJECT_LENGTH_MAX: Final = 100  # SNS's limit, ASCII only


class SnsNotices:
    """One topic. Its errors are botocore's: the call may be repeated."""

    def __init__(self, topic_arn: str, client: Any = None) -> None:
        self._topic_arn = topic_arn
        self._client = client or boto3.client("sns")

    def publish(self, subject: str, text: str) -> None:
        """As `Notices.publish`."""
        plain = subject.encode("ascii", "replace").decode()[:SUBJECT_LENGTH_MAX]
        self._client.publish(TopicArn=self._topic_arn, Subject=plain, Message=text)
