"""`up` with the real parts: nothing acknowledged is missing when it stops, and it goes without a trace."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_runtime import stack_file
from local_runtime.connection import Connection
from local_runtime.guardian import find_marked
from local_runtime.ports import is_free
from local_runtime.settings import PORT_SETTINGS, REPOSITORY
from local_runtime.stack_file import StackFile
from tests.integration.clickhouse_server import conftest as clickhouse

EVENTS = 1000
START_SECONDS_MAX = 60.0
GONE_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Lives:
    """What was seen of two lives. `left`: processes of the killed one, and its parts whose port is still taken."""

    state_dir: Path
    before: Connection
    health: dict[str, Any]
    workers: int
    left: tuple[list[int], list[Any]]
    had_scratch: bool
    after: Connection
    accepted: int
    output: str
    returncode: int


@pytest.fixture(scope="module")
def environment(local_settings, tmp_path_factory):
    """The shell of a person who runs a second stack beside the others of this machine."""
    home = tmp_path_factory.mktemp("person")
    inherited = {**local_settings.inherited, "TALLYSTREAM_STATE_DIR": str(home / "state")}
    roots = (".", "localstack", "layers/event_analytics/python")
    return {
        **inherited,
        **{variable: "0" for variable, _ in PORT_SETTINGS.values()},
        "HOME": str(home),
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


@pytest.fixture(scope="module")
def lives(environment):
    """A life that is killed, and one on the same folder that is sent events and a signal right behind them."""
    state_dir = Path(environment["TALLYSTREAM_STATE_DIR"])
    first = run("up", environment)
    running = wait_until_running(state_dir, first)
    before = Connection.read(state_dir)
    health = call_health(before)
    workers = len(find_marked(running.boot_id)) - len(running.parts)
    first.kill()
    first.communicate()
    wait_until_gone(state_dir)
    left = (find_marked(running.boot_id), [part for part in running.parts if not is_free(part.port)])
    had_scratch = (state_dir / "tmp").exists()

    second = run("up", environment)
    wait_until_running(state_dir, second)
    after = Connection.read(state_dir)
    accepted = send_events(after)
    second.send_signal(signal.SIGTERM)
    output = second.communicate(timeout=START_SECONDS_MAX)[0]
    return Lives(state_dir, before, health, workers, left, had_scratch, after, accepted, output, second.returncode)


def test_up_killed_leaves_no_trace(lives):
    assert lives.health["kafka_durability"] == "memory"
    assert lives.workers >= 1
    assert lives.left == ([], [])
    assert not lives.had_scratch


def test_up_comes_back_with_the_same_keys_and_ends_by_itself(lives):
    assert lives.returncode == 0, lives.output
    assert lives.after.api_url in lives.output
    assert lives.after.write_key == lives.before.write_key
    assert lives.after.archive_bucket == lives.before.archive_bucket
    assert sorted(path.name for path in lives.state_dir.iterdir()) == [
        "clickhouse",
        "keys.json",
        "logs",
        "s3",
        "stack.lock",
    ]


def test_what_was_acknowledged_right_before_the_stop_is_loaded_and_archived(lives):
    server = clickhouse.start(lives.state_dir / "clickhouse")
    try:
        rows = server.post("SELECT count() FROM events FINAL").text.strip()
    finally:
        clickhouse.end(server)
    archived = [
        line
        for path in (lives.state_dir / "s3").rglob(f"{lives.after.archive_bucket}/raw/v1/topic=events/**/*.jsonl.gz")
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]

    assert lives.accepted == EVENTS
    assert (rows, len(archived)) == (str(EVENTS), EVENTS)


def call_health(connection):
    """Have MiniStack start a worker: a process of its own that outlives calls."""
    with urllib.request.urlopen(f"{connection.api_url}/health", timeout=20) as answer:
        return json.load(answer)


def send_events(connection):
    """Send them in one request and return how many were accepted."""
    events = [{"user_id": f"user {n % 7}", "event_name": "clicked"} for n in range(EVENTS)]
    request = urllib.request.Request(
        f"{connection.api_url}/events",
        data=json.dumps({"events": events}).encode(),
        headers={"Authorization": f"Bearer {connection.write_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["accepted"]


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
