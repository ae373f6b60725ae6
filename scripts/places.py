"""Where archive, brokers and ClickHouse are: the running embedded stack's, or those named on the command line."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.errors import Refused, Unavailable
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection
from scripts.failures import GaveUp, ScriptFailed
from scripts.settings import OperatorSettings


@dataclass(frozen=True)
class Place:
    """One deployment. `endpoint_url` None: AWS. `trigger_status_url` "": nobody tells the lag."""

    bucket: str
    endpoint_url: str | None
    bootstrap: str
    security: str
    clickhouse_url: str = ""
    clickhouse_user: str | None = None
    clickhouse_password: str = field(default="", repr=False)
    trigger_status_url: str = ""

    @contextmanager
    def objects(self) -> Iterator[S3ObjectStore]:
        """The archive bucket; its connections are closed at the end."""
        client: Any = aws_session(self.endpoint_url).client("s3")
        try:
            yield S3ObjectStore(self.bucket, client)
        finally:
            client.close()

    @contextmanager
    def log(self, client_id: str) -> Iterator[KafkaEventLog]:
        """The brokers, not connected to before the first append; closed at the end."""
        log = KafkaEventLog(self.bootstrap, self.security, client_id=client_id)
        try:
            yield log
        finally:
            log.close()

    def store(self) -> ClickHouseEventStore:
        """ClickHouse."""
        return ClickHouseEventStore(self.clickhouse_url, self.clickhouse_user, self.clickhouse_password)


def add_place_options(parser: argparse.ArgumentParser, *, with_kafka: bool = False, with_store: bool = False) -> None:
    """Options that name a deployment on AWS; without --bucket the running embedded stack is meant."""
    parser.add_argument("--bucket", help="archive bucket on AWS: output ArchiveBucketName of the stack")
    if with_kafka:
        parser.add_argument("--bootstrap", help="brokers on AWS, host:port[,host:port]")
        parser.add_argument("--security", default="plaintext", choices=["plaintext", "tls", "msk-iam"])
    if with_store:
        parser.add_argument("--clickhouse-url", help="http(s)://host:port/database")
        parser.add_argument("--clickhouse-user", help="with the password that CLICKHOUSE_PASSWORD holds")


def place_of(given: argparse.Namespace) -> Place:
    """The deployment that the options name.

    Raises:
        NotRunning: none is named and none runs here.
    """
    if given.bucket:
        return Place(
            given.bucket,
            None,
            getattr(given, "bootstrap", None) or "",
            getattr(given, "security", "plaintext"),
            getattr(given, "clickhouse_url", None) or "",
            getattr(given, "clickhouse_user", None),
            OperatorSettings.from_env().clickhouse_password,
        )
    connection = read_connection(LocalSettings.from_env().state_dir)
    return Place(
        connection.archive_bucket,
        connection.aws_endpoint,
        connection.kafka,
        "plaintext",
        connection.clickhouse_url,
        trigger_status_url=connection.trigger_status_url,
    )


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """What stops a script for reasons outside of it becomes a ScriptFailed.

    Raises:
        ScriptFailed: instead of what S3, Kafka or ClickHouse raised, and for what was refused.
    """
    try:
        yield
    except ScriptFailed:
        raise
    except (BotoCoreError, ClientError, Unavailable, Refused) as problem:
        raise GaveUp(f"{type(problem).__name__}: {problem}") from problem
