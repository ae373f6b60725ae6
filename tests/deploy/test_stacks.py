"""What a deploy leaves at the embedded endpoint: the function that sets up, and what it makes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_retention
from event_analytics.adapters.kafka_topics import KafkaTopics
from event_analytics.cluster_form import ClusterForm
from event_analytics.retention import Retention, floor_of, ttls_of
from event_analytics.topics import topics_of
from local_runtime.deploy_stack import read_outputs
from scripts.migrate import render_all
from tests.conftest import EmbeddedStack


def client(stack: EmbeddedStack, service: str) -> Any:
    return aws_session(stack.connection.aws_endpoint).client(service)


def outputs_of(stack: EmbeddedStack) -> dict[str, str]:
    return read_outputs(client(stack, "cloudformation"), stack.connection.stack_name)


def test_the_set_up_finds_everything_as_it_should_be_and_changes_nothing(stack: EmbeddedStack) -> None:
    name = outputs_of(stack)["SetupFunctionName"]
    call = client(stack, "lambda").invoke

    call(FunctionName=name, Payload=b"{}")
    answer = call(FunctionName=name, Payload=b"{}")

    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {
        "topics_created": [],
        "topics_altered": [],
        "topics_unlike": {},
        "migrations": [],
        "retention": [],
    }


def test_a_scheduled_run_that_fails_for_good_is_kept_for_a_person(stack: EmbeddedStack) -> None:
    for name in ("ReportFunctionName", "ReplayFunctionName"):
        config = client(stack, "lambda").get_function_event_invoke_config(
            FunctionName=outputs_of(stack)[name], Qualifier="$LATEST"
        )

        queue = outputs_of(stack)["FailedRunsQueueName"]
        assert config["DestinationConfig"]["OnFailure"]["Destination"].endswith(f":{queue}")


def test_topics_are_made_once_changed_as_told_and_never_grown(stack: EmbeddedStack) -> None:
    topics = KafkaTopics(stack.connection.kafka, "plaintext")
    wanted = [topic._replace(name=f"settled-{topic.name}") for topic in topics_of(2, 24)]
    longer = [topic._replace(partitions=4, config={**topic.config, "retention.ms": "1"}) for topic in wanted[:1]]

    first, again, changed = topics.settle(wanted), topics.settle(wanted), topics.settle(longer)

    assert [topic.name for topic in first.create] == [topic.name for topic in wanted]
    assert (again.create, again.alter, again.unlike) == ((), {}, {})
    assert changed.alter == {"settled-events": {"retention.ms": "1"}}
    assert changed.unlike == {"settled-events": 2}


@pytest.mark.parametrize("form", ClusterForm)
def test_clickhouse_can_read_the_schema_of_every_form(stack: EmbeddedStack, form: ClusterForm) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    statements = [text for text in render_all(form).split(";\n") if text.strip()]

    for statement in statements:
        store.select("SELECT formatQuery({statement:String}) AS formatted", {"statement": statement.rstrip(";\n")})

    assert len(statements) > 10


def test_clickhouse_takes_the_ttls_once_and_lets_go_of_them(stack: EmbeddedStack) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    kept = Retention(events_days=20_000, changes_days=30_000, archive_days=20_000)

    first, again = apply_retention(store, kept), apply_retention(store, kept)
    released = apply_retention(store, Retention())

    assert len([statement for statement in first if "MODIFY TTL" in statement]) == len(ttls_of(kept))
    assert again == []
    assert released == [f"ALTER TABLE {table} REMOVE TTL" for table in ttls_of(kept)]


def test_a_week_goes_whole_when_its_last_event_is_old_enough(stack: EmbeddedStack) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    now = datetime.now(UTC)
    floor = floor_of(now, 30)
    assert floor is not None
    store.command(
        "CREATE OR REPLACE TABLE ttl_probe (timestamp DateTime64(3, 'UTC')) ENGINE = MergeTree "
        "PARTITION BY toMonday(timestamp) ORDER BY timestamp"
    )
    try:
        store.command(f"ALTER TABLE ttl_probe MODIFY TTL {ttls_of(Retention(events_days=30))['events']}")
        for instant in (floor - timedelta(days=7), floor - timedelta(seconds=1), floor, now):
            store.command(f"INSERT INTO ttl_probe VALUES (fromUnixTimestamp64Milli({int(instant.timestamp())}000))")
        store.command("OPTIMIZE TABLE ttl_probe FINAL")

        left = store.select("SELECT toUnixTimestamp(timestamp) AS seconds FROM ttl_probe ORDER BY timestamp", {})

        assert [row["seconds"] for row in left] == [int(floor.timestamp()), int(now.timestamp())]
    finally:
        store.command("DROP TABLE ttl_probe")
