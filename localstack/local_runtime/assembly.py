"""Tallystream as a stack: which parts it has, and what makes them one system.

The steps are `Tallystream.prepare`: topics, tables, functions, keys. `stack` decides when they run.
"""

from __future__ import annotations

from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from kafka.errors import KafkaError

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.errors import StoreUnavailable
from event_analytics.migrations import MigrationsBroken
from local_runtime import api_keys, lag, parts, tansu
from local_runtime.api_keys import ApiKeys
from local_runtime.build import BuildFailed
from local_runtime.connection import Connection
from local_runtime.deploy import DeployedStack, StackSettings, deploy
from local_runtime.deploy_stack import DeployFailed
from local_runtime.parts import Part
from local_runtime.settings import LocalSettings
from local_runtime.stack import Report, StackFailed
from local_runtime.warming import FunctionBroken, warm_up

# Enough for several batches in flight; more only make each batch smaller on one machine.
TOPICS = {"events": 8}
KAFKA_DURABILITY = "memory"  # the broker acknowledges in memory; /health says so

# What the steps raise when something outside of this program is wrong: the message is for a person, not a traceback.
FAILURES = (
    BuildFailed,
    DeployFailed,
    BotoCoreError,
    ClientError,
    KafkaError,
    MigrationsBroken,
    StoreUnavailable,
    FunctionBroken,
)


class Tallystream:
    """The blueprint of the real stack. One object serves one start."""

    def __init__(self) -> None:
        self._ingest_function = ""

    def describe_foundation(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        """As `Blueprint.describe_foundation`.

        Raises:
            StackFailed: there is no broker for this machine.
        """
        try:
            kafka = parts.describe_kafka(settings, scratch_dir)
        except tansu.TansuNotFound as error:
            raise StackFailed(str(error)) from error
        return (
            parts.describe_clickhouse(settings, scratch_dir),
            parts.describe_ministack(settings, scratch_dir),
            kafka,
        )

    def describe_consumers(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        """As `Blueprint.describe_consumers`."""
        return (parts.describe_trigger(settings, scratch_dir),)

    def prepare(self, settings: LocalSettings, boot_id: str, report: Report) -> Connection:
        """As `Blueprint.prepare`.

        Raises:
            StackFailed: topics, tables or functions could not be made; the message has the reason.
        """
        try:
            tansu.create_topics(settings.kafka_bootstrap, TOPICS)
            _migrate(settings, report)
            deployed = _deploy(settings, boot_id)
            report(f"stack {deployed.stack_name} is deployed")
            keys = _publish_keys(settings, deployed)
            _warm_up(settings, deployed)
        except FAILURES as error:
            raise StackFailed(f"{type(error).__name__}: {error}") from error
        self._ingest_function = deployed.function_names["ingest"]
        return _describe_connection(settings, deployed, keys)

    def drain(self, settings: LocalSettings, report: Report) -> None:
        """Close ingest and wait until load and archive have all that it acknowledged.

        What is not delivered then is lost, as the broker keeps nothing beyond its process; it is reported.
        """
        client = aws_session(settings.aws_endpoint).client("lambda")
        try:
            client.put_function_concurrency(FunctionName=self._ingest_function, ReservedConcurrentExecutions=0)
        except (BotoCoreError, ClientError) as error:
            report(f"ingest could not be closed: {error}")
        finally:
            client.close()
        for mapping, records in lag.wait_until_drained(settings.trigger_status_url).items():
            report(f"{mapping} had {'an unknown number of' if records is None else records} records left")


def _warm_up(settings: LocalSettings, deployed: DeployedStack) -> None:
    client = aws_session(settings.aws_endpoint).client("lambda")
    try:
        warm_up(client, deployed.function_names)
    finally:
        client.close()


def _migrate(settings: LocalSettings, report: Report) -> None:
    store = ClickHouseEventStore(settings.clickhouse_url)
    folder = settings.repository / "schema" / "migrations"
    apply_pending(store, folder, lambda name: report(f"migration {name} is applied"))


def _deploy(settings: LocalSettings, boot_id: str) -> DeployedStack:
    wanted = StackSettings(
        kafka_bootstrap=settings.kafka_bootstrap,
        clickhouse_url=settings.clickhouse_url,
        # A memory broker starts again at offset 0, so each of its lives needs another name.
        stream_epoch=boot_id,
        kafka_durability=KAFKA_DURABILITY,
        stack_name=settings.stack_name,
    )
    session = aws_session(settings.aws_endpoint)
    return deploy(settings.repository, settings.aws_endpoint, session, wanted, settings.build_cache_dir)


def _publish_keys(settings: LocalSettings, deployed: DeployedStack) -> ApiKeys:
    keys = api_keys.load_or_mint(settings.state_dir)
    client = aws_session(settings.aws_endpoint).client("secretsmanager")
    api_keys.publish(keys, client, deployed.keys_secret_id)
    client.close()
    return keys


def _describe_connection(settings: LocalSettings, deployed: DeployedStack, keys: ApiKeys) -> Connection:
    return Connection(
        api_url=deployed.api_url,
        write_key=keys.write_key,
        read_key=keys.read_key,
        admin_key=keys.admin_key,
        kafka=settings.kafka_bootstrap,
        clickhouse_url=settings.clickhouse_url,
        aws_endpoint=settings.aws_endpoint,
        archive_bucket=deployed.archive_bucket,
        stack_name=deployed.stack_name,
        trigger_status_url=settings.trigger_status_url,
        kafka_durability=KAFKA_DURABILITY,
    )
