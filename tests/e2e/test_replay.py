"""The archive replayed into an empty ClickHouse gives the same answers; replayed again it changes nothing.

The replay function is invoked with a job's payload through the Lambda API, as a schedule invokes it.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.replay_journal import ReplayJournal
from event_analytics.replay_run import Runner, Stop
from event_analytics.replay_state import Status, read_job
from scripts import rebuild
from scripts.migrate import MIGRATIONS
from scripts.places import Place
from tests.builders import SAMPLE_EPOCH
from tests.e2e.http_client import ApiClient

ROOT = Path(__file__).parents[2]
EVENTS = 1_200
BATCH = 300
FOLD_SECONDS_MAX = 90.0  # a change that came before its event is folded within a minute of it
ALL_TIME = {"start": "1970-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
# What answers are made of; versions and what only orders them may differ.
ANSWER_COLUMNS = (
    "id, user_id, conversation_id, event_name, timestamp, error, latency_ms, input, output, properties, "
    "conversation_metadata, accepted_us"
)


class History:
    """Seeded events within one day that no other test uses, some of them changed, some deleted."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.marker = uuid.uuid4().hex[:8]
        self.start = datetime(2011, 1, 1, tzinfo=UTC) + timedelta(days=uuid.uuid4().int % 1_500)
        self.end = self.start + timedelta(days=1)
        self.events = [
            {
                "id": str(uuid.UUID(int=uuid.uuid4().int, version=4)),
                "user_id": f"{self.marker}-u{rng.randrange(20)}",
                "conversation_id": f"{self.marker}-c{rng.randrange(30)}",
                "event_name": rng.choice(("search", "answer")),
                "timestamp": (self.start + timedelta(milliseconds=rng.randrange(86_400_000))).isoformat(),
                "latency_ms": round(rng.expovariate(1 / 300), 3),
                "properties": {"n": rng.randrange(9)},
            }
            for _ in range(EVENTS)
        ]
        chosen = rng.sample(self.events, 150)
        self.updated = {event["id"]: {"latency_ms": 1.5, "properties": {"seen": True}} for event in chosen[:100]}
        self.deleted = [event["id"] for event in chosen[50:]]


@pytest.fixture(scope="module")
def history(stack: Any, writer: ApiClient) -> History:
    history = History(seed=11)
    for start in range(0, EVENTS, BATCH):
        answer = writer.post("/events", {"events": history.events[start : start + BATCH]})
        assert (answer.status, answer.body["accepted"]) == (202, BATCH), answer
    stack.wait_until_delivered()  # a change that overtakes its event shows within a minute, not at once
    operations = [
        *({"op": "update", "id": identifier, **fields} for identifier, fields in history.updated.items()),
        *({"op": "delete", "id": identifier} for identifier in history.deleted),
    ]
    answer = writer.post("/batch", {"operations": operations})
    assert (answer.status, answer.body["accepted"]) == (202, len(operations)), answer
    stack.wait_until_delivered()
    return history


@pytest.fixture
def store(stack: Any) -> ClickHouseEventStore:
    return ClickHouseEventStore(stack.connection.clickhouse_url)


@pytest.fixture
def answers(history: History, reader: ApiClient, store: ClickHouseEventStore) -> Callable[[], dict[str, Any]]:
    """Gives all that can be asked about the history."""

    def ask() -> dict[str, Any]:
        window = {"start": history.start.isoformat(), "end": history.end.isoformat(), "limit": 1_000}
        conversation = history.events[0]["conversation_id"]
        sql = f"SELECT {ANSWER_COLUMNS} FROM events FINAL WHERE startsWith(user_id, {{marker:String}}) ORDER BY id"
        reports = {path: reader.get(path, **window).body for path in ("/reports/top-users", "/reports/latency")}
        for report in reports.values():
            for name in ("generated_at", "rows_read", "elapsed_ms"):
                del report[name]
        texts = {"include": "input,output", "limit": 1_000}
        return {
            **reports,
            "conversation": reader.get(f"/conversations/{conversation}/events", **texts).body["events"],
            "rows": store.select(sql, {"marker": history.marker}),
        }

    return ask


def drop_tables(store: ClickHouseEventStore) -> None:
    for row in store.select(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '.')", {}
    ):
        store.command(f"DROP TABLE IF EXISTS `{row['name']}`")


def empty(store: ClickHouseEventStore) -> None:
    """Leave no row at all, and the tables as the migrations make them."""
    drop_tables(store)
    apply_pending(store, MIGRATIONS, lambda _name: None)
    assert rebuild.count_rows(store) == 0


def invoke_replay(stack: Any, payload: dict[str, Any]) -> dict[str, Any]:
    session = aws_session(stack.connection.aws_endpoint)
    stacks = session.client("cloudformation").describe_stacks(StackName=stack.connection.stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    answer = session.client("lambda").invoke(
        FunctionName=outputs["ReplayFunctionName"], Payload=json.dumps(payload).encode()
    )
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return dict(body)


def wait_until_equal(expected: dict[str, Any], ask: Callable[[], dict[str, Any]]) -> None:
    deadline = time.monotonic() + FOLD_SECONDS_MAX
    while (found := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.5)

    assert found == expected


def test_the_whole_archive_replayed_into_an_empty_database_gives_equal_answers_and_again_changes_nothing(
    stack: Any, history: History, answers: Callable[[], dict[str, Any]], store: ClickHouseEventStore
) -> None:
    before = answers()
    latencies = {row["id"]: row["latency_ms"] for row in before["rows"]}
    assert len(latencies) == EVENTS - len(history.deleted)
    assert {latencies[identifier] for identifier in set(history.updated) - set(history.deleted)} == {1.5}
    empty(store)

    first = invoke_replay(stack, ALL_TIME)["replays"][0]
    stack.wait_until_delivered()
    wait_until_equal(before, answers)
    again = invoke_replay(stack, ALL_TIME)["replays"][0]
    stack.wait_until_delivered()

    assert (first["status"], again["status"]) == ("done", "done")
    assert first["events_sent"] >= EVENTS
    assert first["changes_sent"] >= len(history.updated) + len(history.deleted)
    assert again["replay_id"] != first["replay_id"]
    wait_until_equal(before, answers)


def test_a_replay_of_one_user_brings_back_that_user_without_what_was_deleted(
    stack: Any, history: History, answers: Callable[[], dict[str, Any]], store: ClickHouseEventStore
) -> None:
    user = f"{history.marker}-u3"
    before = answers()
    empty(store)

    answer = invoke_replay(stack, {**ALL_TIME, "user_id": user})["replays"][0]
    stack.wait_until_delivered()

    assert answer["status"] == "done"
    expected = [row for row in before["rows"] if row["user_id"] == user]
    deadline = time.monotonic() + FOLD_SECONDS_MAX
    while (found := answers()["rows"]) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == expected
    invoke_replay(stack, ALL_TIME)
    stack.wait_until_delivered()
    wait_until_equal(before, answers)


def test_a_replay_that_was_stopped_is_ended_by_the_schedule(stack: Any, history: History) -> None:
    connection = stack.connection
    place = Place(connection.archive_bucket, connection.aws_endpoint, connection.kafka, "plaintext")
    payload = {**ALL_TIME, "user_id": history.events[0]["user_id"], "rate": 1_000}
    job = read_job(payload, f"stopped-{history.marker}")
    with place.objects() as objects, place.log("tests") as log:
        stopped = Runner(objects, log, time.time, time.sleep, "test", is_over=lambda: True).start(job)
        invoke_replay(stack, {"jobs": ["resume_replays"]})
        deadline = time.monotonic() + FOLD_SECONDS_MAX
        while (state := ReplayJournal(objects).read(job.replay_id)) and state.status is Status.RUNNING:
            assert time.monotonic() < deadline, state
            time.sleep(0.5)

    mine = [event for event in history.events if event["user_id"] == payload["user_id"]]
    assert stopped.stop is Stop.TIME_OVER
    assert state is not None
    assert state.counts.events_sent == len(mine)


def test_rebuild_fills_an_empty_clickhouse_and_refuses_one_that_has_events(
    stack: Any,
    store: ClickHouseEventStore,
    answers: Callable[[], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection = stack.connection
    place = Place(
        connection.archive_bucket, connection.aws_endpoint, connection.kafka, "plaintext", connection.clickhouse_url,
        trigger_status_url=connection.trigger_status_url,
    )  # fmt: skip
    # What former replays still have on the way would land in the tables that this test empties.
    stack.wait_until_delivered()
    before = answers()

    assert rebuild.rebuild(place) == rebuild.EXIT_NOT_EMPTY
    drop_tables(store)
    assert rebuild.rebuild(place) == 0

    assert "rebuilt in" in capsys.readouterr().out
    wait_until_equal(before, answers)


def run_script(stack: Any, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "TALLYSTREAM_STATE_DIR": str(stack.settings.state_dir), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def test_the_archive_of_this_run_has_no_gaps(stack: Any, history: History) -> None:
    process = run_script(stack, "scripts.archive", "verify", "--json")
    printed, complaints = process.communicate(timeout=60)

    lanes = [lane for lane in json.loads(printed)["lanes"] if lane["epoch"] != SAMPLE_EPOCH]
    assert [lane for lane in lanes if lane["gaps"] or lane["conflicts"]] == [], complaints
    records = Counter[str]()
    for lane in lanes:
        records[lane["topic"]] += lane["records"]
    assert records["events"] >= EVENTS
    assert records["event-changes"] >= len(history.updated) + len(history.deleted)


def test_a_replay_that_a_person_interrupts_goes_on_with_the_same_command(stack: Any, history: History) -> None:
    user = history.events[1]["user_id"]
    command = ("scripts.replay", "--start", ALL_TIME["start"], "--end", ALL_TIME["end"], "--user", user, "--rate")
    process = run_script(stack, *command, "5")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("replay ")
    time.sleep(2)  # some of its sends
    process.send_signal(signal.SIGINT)
    printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 130, printed + complaints
    assert "--resume" in printed

    process = run_script(stack, *command, "100000")
    resumed, complaints = process.communicate(timeout=60)

    assert process.returncode == 0, resumed + complaints
    assert resumed.startswith("continuing replay ")
    sent = [
        int(number) for text in (printed, resumed) for number in re.findall(r"^(\d+) events and", text, re.MULTILINE)
    ]
    assert sum(sent) == sum(event["user_id"] == user for event in history.events)
    assert min(sent) > 0
