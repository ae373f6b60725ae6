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
from event_analytics.routing import EVENTS_TOPIC
from local_runtime import api_keys, lag, parts, tansu
from local_runtime.api_keys import ApiKeys
from local_runtime.build import BuildFailed
from local_runtime.connection import Connection
from local_runtime.deploy import DeployedStack, StackSettings, deploy
from local_runtime.deploy_stack import DeployFailed
from local_runtime.parts import Part
from local_runtime.private_files import read_private_json, write_private_json
from local_runtime.settings import KAFKA_MEMORY, LocalSettings
from local_runtime.stack import Report, StackFailed
from local_runtime.warming import FunctionBroken, warm_up

# Enough for several batches in flight; more only make each batch smaller on one machine.
TOPICS = {"events": 8, "event-changes": 8, "events-replay": 8, "dead-letters": 1}
EPOCH_FILE_NAME = "stream_epoch.json"

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
            are_new = EVENTS_TOPIC in tansu.create_topics(settings.kafka_bootstrap, TOPICS)
            _migrate(settings, report)
            deployed = _deploy(settings, settle_epoch(settings, boot_id, are_topics_new=are_new))
            report(f"stack {deployed.stack_name} is deployed")
            keys = _publish_keys(settings, deployed)
            _warm_up(settings, deployed)
        except FAILURES as error:
            raise StackFailed(f"{type(error).__name__}: {error}") from error
        self._ingest_function = deployed.function_names["ingest"]
        return _describe_connection(settings, deployed, keys)

    def drain(self, settings: LocalSettings, report: Report) -> None:
        """Close ingest and wait until load and archive have all that it acknowledged.

        What is not delivered then is lost with a broker that keeps nothing beyond its process; it is reported. A
        durable one delivers it after the next start, so there is nothing to wait for.
        """
        client = aws_session(settings.aws_endpoint).client("lambda")
        try:
            client.put_function_concurrency(FunctionName=self._ingest_function, ReservedConcurrentExecutions=0)
        except (BotoCoreError, ClientError) as error:
            report(f"ingest could not be closed: {error}")
        finally:
            client.close()
        if settings.kafka_storage != KAFKA_MEMORY:
            return
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


def settle_epoch(settings: LocalSettings, boot_id: str, *, are_topics_new: bool) -> str:
    """Return the name of the topics' life. On memory each life of the broker starts at offset 0 and needs another.

    On durable storage the name stands in a file of the state directory and changes only when topics were made anew.
    """
    if settings.kafka_storage == KAFKA_MEMORY:
        return boot_id
    path = settings.state_dir / EPOCH_FILE_NAME
    kept = read_private_json(path)
    if kept and not are_topics_new:
        return str(kept["epoch"])
    write_private_json(path, {"epoch": boot_id})
    return boot_id


def _deploy(settings: LocalSettings, stream_epoch: str) -> DeployedStack:
    wanted = StackSettings(
        kafka_bootstrap=settings.kafka_bootstrap,
        clickhouse_url=settings.clickhouse_url,
        stream_epoch=stream_epoch,
        kafka_durability=settings.kafka_durability,
        stack_name=settings.stack_name,
        extra=dict(settings.parameters),
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
        kafka_durability=settings.kafka_durability,
    )
