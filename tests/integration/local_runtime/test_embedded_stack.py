"""The embedded stack with its real parts: what it is made of, what it keeps, and that it goes without a trace."""

import dataclasses
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from event_analytics.access import identify, read_key_ring
from event_analytics.adapters.aws_session import aws_session
from event_analytics.errors import Refused
from local_runtime import stack_file
from local_runtime.assembly import Tallystream
from local_runtime.connection import Connection
from local_runtime.guardian import find_marked
from local_runtime.ports import is_free
from local_runtime.settings import PORT_SETTINGS, REPOSITORY
from local_runtime.stack import started
from local_runtime.stack_file import StackFile

EVENTS = 1000
START_SECONDS_MAX = 60.0
GONE_SECONDS_MAX = 10.0


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


class CountingTallystream(Tallystream):
    """Counts what has arrived at the moment when the parts are about to be stopped."""

    rows = ""
    archived = 0

    def drain(self, settings, report):
        super().drain(settings, report)
        with urllib.request.urlopen(settings.clickhouse_url, data=b"SELECT count() FROM events FINAL") as answer:
            self.rows = answer.read().decode().strip()
        s3 = aws_session(settings.aws_endpoint).client("s3")
        bucket = s3.list_buckets(Prefix=f"{settings.stack_name}-archive")["Buckets"][0]["Name"]
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix="raw/")["Contents"]:
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            self.archived += len(gzip.decompress(body).splitlines())
        s3.close()


def test_what_was_acknowledged_right_before_the_stop_is_loaded_and_archived(local_settings, tmp_path):
    blueprint = CountingTallystream()
    events = [{"user_id": f"user {n % 7}", "event_name": "clicked"} for n in range(EVENTS)]

    with started(dataclasses.replace(local_settings, state_dir=tmp_path), blueprint) as stack:
        request = urllib.request.Request(
            f"{stack.connection.api_url}/events",
            data=json.dumps({"events": events}).encode(),
            headers={"Authorization": f"Bearer {stack.connection.write_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            accepted = json.load(answer)["accepted"]

    assert accepted == EVENTS
    assert (blueprint.rows, blueprint.archived) == (str(EVENTS), EVENTS)


@pytest.fixture
def environment(local_settings, tmp_path):
    """The shell of a person who runs a second stack beside the others of this machine."""
    inherited = {**local_settings.inherited, "TALLYSTREAM_STATE_DIR": str(tmp_path / "state")}
    roots = (".", "localstack", "layers/event_analytics/python")
    return {
        **inherited,
        **{variable: "0" for variable, _ in PORT_SETTINGS.values()},
        "HOME": str(tmp_path),
        "TALLYSTREAM_MINISTACK_VENV": str(local_settings.ministack_venv),
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / root) for root in roots),
    }


def run(command, environment):
    return subprocess.Popen(
        [sys.executable, "-m", "local_runtime", command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_running(state_dir, process):
    deadline = time.monotonic() + START_SECONDS_MAX
    while not ((running := StackFile.read(state_dir)) and running.state == stack_file.RUNNING):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return running


def test_up_killed_leaves_no_trace_and_comes_back_with_the_same_keys(environment, tmp_path):
    state_dir = tmp_path / "state"
    first = run("up", environment)
    running = wait_until_running(state_dir, first)
    before = Connection.read(state_dir)
    health = call_health(before)
    workers = len(find_marked(running.boot_id)) - len(running.parts)
    first.kill()
    first.communicate()
    wait_until_gone(state_dir)

    assert health["kafka_durability"] == "memory"
    assert workers >= 1
    assert find_marked(running.boot_id) == []
    assert all(is_free(part.port) for part in running.parts)
    assert not (state_dir / "tmp").exists()

    second = run("up", environment)
    wait_until_running(state_dir, second)
    after = Connection.read(state_dir)
    second.send_signal(signal.SIGTERM)
    output = second.communicate(timeout=START_SECONDS_MAX)[0]

    assert second.returncode == 0, output
    assert after.api_url in output
    assert (after.write_key, after.archive_bucket) == (before.write_key, before.archive_bucket)
    assert sorted(path.name for path in state_dir.iterdir()) == [
        "clickhouse",
        "keys.json",
        "logs",
        "s3",
        "stack.lock",
    ]


def call_health(connection):
    """Have MiniStack start a worker: a process of its own that outlives calls."""
    with urllib.request.urlopen(f"{connection.api_url}/health", timeout=20) as answer:
        return json.load(answer)


def wait_until_gone(state_dir):
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while (lock := stack_file.try_lock(state_dir)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.close(lock)


def test_a_taken_port_is_named_with_its_setting(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = run("up", environment | {"TALLYSTREAM_CLICKHOUSE_PORT": str(port)})
        output = process.communicate(timeout=START_SECONDS_MAX)[0]

    assert process.returncode == 1
    assert output == f"port {port} is taken: set TALLYSTREAM_CLICKHOUSE_PORT (0 takes any free port)\n"


def test_a_setting_that_cannot_be_used_is_named(environment):
    process = run("status", environment | {"TALLYSTREAM_KAFKA_PORT": "kafka"})
    output = process.communicate(timeout=START_SECONDS_MAX)[0]

    assert process.returncode == 2
    assert output.startswith("TALLYSTREAM_KAFKA_PORT='kafka' is no port")


def test_a_missing_ministack_is_named(environment, tmp_path):
    process = run("up", environment | {"TALLYSTREAM_MINISTACK_VENV": str(tmp_path / "nowhere")})
    output = process.communicate(timeout=START_SECONDS_MAX)[0]

    assert process.returncode == 1
    assert "ministack cannot be started" in output
