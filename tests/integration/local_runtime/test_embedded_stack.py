"""The embedded stack with its real parts: what it is made of, and what it keeps when a part is killed."""

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from event_analytics.access import identify, read_key_ring
from event_analytics.adapters.aws_session import aws_session
from event_analytics.errors import Refused
from local_runtime.settings import PORT_SETTINGS


def select(stack, sql):
    with urllib.request.urlopen(stack.connection.clickhouse_url, data=sql.encode(), timeout=10) as answer:
        return answer.read().decode().split()


def test_the_tables_of_all_migrations_are_there(stack):
    tables = select(stack, "SELECT name FROM system.tables WHERE database = currentDatabase()")

    assert {"events", "event_embeddings"} <= set(tables)


def test_the_topic_has_eight_partitions(stack):
    admin = KafkaAdminClient(bootstrap_servers=stack.connection.kafka)
    try:
        topics = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(["events"])}
    finally:
        admin.close()

    assert topics == {"events": 8}


def test_the_secret_knows_the_three_keys_by_their_hashes_only(stack):
    connection = stack.connection
    client = aws_session(connection.aws_endpoint).client("secretsmanager")
    cloudformation = aws_session(connection.aws_endpoint).client("cloudformation")
    outputs = cloudformation.describe_stacks(StackName=connection.stack_name)["Stacks"][0]["Outputs"]
    secret_id = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "KeysSecretId")
    text = client.get_secret_value(SecretId=secret_id)["SecretString"]
    client.close()
    cloudformation.close()
    ring, now = read_key_ring(text), datetime.now(UTC)
    keys = {"write": connection.write_key, "read": connection.read_key, "admin": connection.admin_key}

    assert {scope: identify(f"Bearer {key}", ring, now).scopes for scope, key in keys.items()} == {
        scope: frozenset({scope}) for scope in keys
    }
    assert not any(key in text for key in keys.values())
    with pytest.raises(Refused):
        identify("Bearer tally_write_" + "0" * 64, ring, now)


def test_everything_listens_on_this_machine_only(stack):
    listeners = {
        int(local.rpartition(":")[2], 16): local.partition(":")[0]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        for local, state in [line.split()[1:4:2]]
        if state == "0A"
    }
    loopback = "0100007F"

    assert {listeners.get(getattr(stack.settings, name)) for name in PORT_SETTINGS} == {loopback}


def test_workers_of_functions_share_what_is_unpacked_of_their_layers(stack):
    layers = [*(stack.settings.state_dir / "tmp").glob("ministack-lambda-*/layer_[0-9]")]

    assert layers
    assert all(layer.is_symlink() for layer in layers)
    assert len({layer.resolve() for layer in layers}) < len(layers)


def test_a_killed_trigger_comes_back_and_reads_again(stack):
    stack.restart_trigger()
    stack.wait_until_delivered()

    status = json.load(urllib.request.urlopen(stack.connection.trigger_status_url, timeout=5))
    assert {mapping["state"] for mapping in status["mappings"]} == {"running"}


def test_a_killed_clickhouse_comes_back_with_its_rows(stack):
    select(stack, "CREATE TABLE kept_over_a_kill (n UInt8) ENGINE = MergeTree ORDER BY n")
    select(stack, "INSERT INTO kept_over_a_kill VALUES (7)")
    stack.restart("clickhouse")
    rows = select(stack, "SELECT n FROM kept_over_a_kill")
    select(stack, "DROP TABLE kept_over_a_kill")

    assert rows == ["7"]
