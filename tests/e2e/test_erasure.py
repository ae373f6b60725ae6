"""One of two users erased over HTTP on the running stack: then nothing of the one is found anywhere, ever again.

Everywhere means every row of every table, merged or not, and every object of the bucket with all its former versions.
"""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.archive_coverage import cover
from event_analytics.archive_keys import RAW_PREFIX, parse_key
from event_analytics.integrity_run import check_window
from event_analytics.routing import EVENTS_REPLAY_TOPIC, EVENTS_TOPIC, Record
from event_analytics.spool import encode_spool, spool_name
from tests.builders import SAMPLE_EPOCH
from tests.e2e.http_client import ApiClient
from tests.residue import is_in, objects_of_bucket, tables_with

ERASED_SECONDS_MAX = 90.0
JSON = {"Content-Type": "application/json"}


class Pair:
    """Alice and Bob: events with embeddings, changes, a dead letter and a spooled request of each."""

    def __init__(self, stack: Any, writer: ApiClient) -> None:
        self.stack, self.writer = stack, writer
        self.marker = uuid.uuid4().hex[:12]
        self.alice, self.bob = f"alice+{self.marker}@example.com", f"bob-{self.marker}"
        self.secret = f"secret-{self.marker}"
        self.start = datetime.now(UTC)
        self.day = datetime(2007, 5, 6, 7, tzinfo=UTC) + timedelta(hours=uuid.uuid4().int % 10_000)
        self.events = [self.event(user) for user in (self.alice, self.bob) for _ in range(5)]
        self.first = self.events[0]["id"]

    def event(self, user: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()), "user_id": user, "conversation_id": f"both-{self.marker}", "event_name": "asked",
            "timestamp": self.day.isoformat(), "input": self.text_of(user), "input_embeddings": [0.5, 1.5],
            "properties": {"note": self.text_of(user)}, **fields,
        }  # fmt: skip

    def text_of(self, user: str) -> str:
        return self.secret if user == self.alice else f"open-{self.marker}"

    def send(self) -> None:
        assert self.writer.post("/events", {"events": self.events}).body["accepted"] == len(self.events)
        self.stack.wait_until_delivered()
        for event in (self.events[0], self.events[5]):
            fields = json.dumps({"output": event["input"], "output_embeddings": [2.5]}).encode()
            assert self.writer.call("PUT", f"/event/{event['id']}", fields, JSON).status == 202
        now_ms = int(time.time() * 1_000)
        with_log(self.stack, [Record(EVENTS_TOPIC, u.encode(), self.broken(u), now_ms) for u in (self.alice, self.bob)])
        self.stack.wait_until_delivered()

    def broken(self, user: str) -> bytes:
        return json.dumps({"user_id": user, "input": self.text_of(user)}).encode()[:-1]

    def spooled(self, accepted: datetime) -> tuple[str, bytes]:
        """A request that Kafka did not take, of both users, as its object."""
        accepted_us = int(accepted.timestamp() * 1_000_000)
        records = [
            Record(EVENTS_TOPIC, user.encode(), encoded(self.event(user), accepted_us), accepted_us // 1_000)
            for user in (self.alice, self.bob)
        ]
        return spool_name(accepted_us, self.marker), encode_spool(records)


def encoded(event: dict[str, Any], accepted_us: int) -> bytes:
    plain = {name: value for name, value in event.items() if name != "input_embeddings"}
    return json.dumps({"accepted_us": accepted_us, **plain}, separators=(",", ":")).encode()


def with_log(stack: Any, records: list[Record]) -> None:
    log = KafkaEventLog(stack.connection.kafka, "plaintext", client_id="erasure-test")
    try:
        assert all(log.append(records))
    finally:
        log.close()


def invoke(stack: Any, function: str, payload: dict[str, Any]) -> Any:
    client = aws_session(stack.connection.aws_endpoint).client("lambda")
    name = next(n for n in (f["FunctionName"] for f in client.list_functions()["Functions"]) if function in n)
    answer = client.invoke(FunctionName=name, Payload=json.dumps(payload).encode())
    body = answer["Payload"].read()
    assert "FunctionError" not in answer, body
    return json.loads(body)


@pytest.fixture(scope="module", autouse=True)
def one_job_at_a_time(stack: Any) -> Iterator[None]:
    """The schedule stands still: AWS runs one report function at once, the emulator one beside those of a test."""
    client = aws_session(stack.connection.aws_endpoint).client("events")
    rules = [rule["Name"] for rule in client.list_rules()["Rules"] if rule["State"] == "ENABLED"]
    for name in rules:
        client.disable_rule(Name=name)
    yield
    for name in rules:
        client.enable_rule(Name=name)
    client.close()


@pytest.fixture(scope="module")
def pair(stack: Any, writer: ApiClient) -> Pair:
    pair = Pair(stack, writer)
    pair.send()
    return pair


@pytest.fixture
def bucket(stack: Any) -> Any:
    client = aws_session(stack.connection.aws_endpoint).client("s3")
    yield S3ObjectStore(stack.connection.archive_bucket, client)
    client.close()


def residue_of(stack: Any, *texts: str) -> dict[str, int]:
    connection = stack.connection
    client = aws_session(connection.aws_endpoint).client("s3")
    bodies = list(objects_of_bucket(client, connection.archive_bucket))
    client.close()
    store = ClickHouseEventStore(connection.clickhouse_url)
    found = {name: 1 for text in texts for name, body in bodies if is_in(body, text)}
    return {**found, **{table: rows for text in texts for table, rows in tables_with(store, text).items()}}


def answers_about(reader: ApiClient, pair: Pair, user: str) -> dict[str, Any]:
    window = {"start": pair.day.isoformat(), "end": (pair.day + timedelta(hours=1)).isoformat(), "limit": 1_000}
    users = reader.get("/reports/top-users", **window).body["users"]
    events = reader.get(f"/conversations/both-{pair.marker}/events", limit=1_000).body["events"]
    ids = [event["id"] for event in pair.events if event["user_id"] == user]
    return {
        "counted": [each["events"] for each in users if each["user_id"] == user],
        "in conversation": [event for event in events if event["user_id"] == user],
        "by id": [reader.get(f"/event/{identifier}").body for identifier in ids],
    }


def test_an_erased_user_is_found_nowhere_and_comes_back_by_no_way(
    stack: Any, pair: Pair, bucket: S3ObjectStore, admin: ApiClient, reader: ApiClient
) -> None:
    before = answers_about(reader, pair, pair.bob)
    assert (before["counted"], before["by id"][0]["output"]) == ([5], f"open-{pair.marker}")
    assert len(residue_of(stack, pair.alice, pair.secret)) > 4
    spooled_at = datetime.now(UTC)

    answer = admin.call("DELETE", f"/users/{quote(pair.alice, safe='')}")
    assert (answer.status, answer.body["status"]) == (202, "accepted")
    bucket.put_new(*pair.spooled(spooled_at))  # of a request that took its time
    record = erased(stack, admin, answer.body["erasure_id"])

    assert {name: count["after"] for name, count in record["places"].items() if count["after"]} == {}
    found = {name: count["before"] for name, count in record["places"].items()}
    assert (found["events"], found["archived_events"], found["dead_letters"]) == (5, 6, 1)
    assert (found["event_embeddings"], found["event_changes"], found["archived_changes"]) == (5, 1, 1)
    assert residue_of(stack, pair.alice, pair.secret) == {}
    assert answers_about(reader, pair, pair.alice)["counted"] == []

    # Everything again, in every way there is, and something new.
    invoke(stack, "ReplayFunction", {"start": "1970-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"})
    accepted_us = int(pair.start.timestamp() * 1_000_000)
    old = encoded(pair.events[0], accepted_us)
    with_log(
        stack,
        [
            Record(topic, pair.alice.encode(), old, accepted_us // 1_000)
            for topic in (EVENTS_TOPIC, EVENTS_REPLAY_TOPIC)
        ],
    )
    new = pair.event(pair.alice, input="something new", properties={})
    assert pair.writer.post("/event", new).status == 202
    stack.wait_until_delivered()
    invoke(stack, "ReportFunction", {"jobs": ["fold_pending", "drain_spool"]})
    stack.wait_until_delivered()

    assert residue_of(stack, pair.secret) == {}
    assert [each["id"] for each in answers_about(reader, pair, pair.alice)["in conversation"]] == [new["id"]]
    after = answers_about(reader, pair, pair.bob)
    assert after["by id"] == before["by id"]
    assert after["counted"] == [6]  # with the one that was spooled
    assert gaps_of(bucket, pair) == []
    assert differences_of(stack, bucket, pair) == []


def erased(stack: Any, admin: ApiClient, erasure_id: str) -> dict[str, Any]:
    """The record of an erasure once it is done."""
    deadline = time.monotonic() + ERASED_SECONDS_MAX
    while (record := admin.get(f"/erasures/{erasure_id}").body)["status"] != "done":
        assert time.monotonic() < deadline, record
        invoke(stack, "ReportFunction", {"jobs": ["erase"]})
    return dict(record)


def gaps_of(bucket: S3ObjectStore, pair: Pair) -> list[Any]:
    keys = [key for entry in bucket.list(RAW_PREFIX) if (key := parse_key(entry.name)) is not None]
    own = [key for key in keys if key.epoch != SAMPLE_EPOCH]
    return [gap for coverage in cover(own, is_whole=True) for gap in (*coverage.gaps, *coverage.conflicts)]


def differences_of(stack: Any, bucket: S3ObjectStore, pair: Pair) -> list[Any]:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    return list(check_window(store, bucket, pair.start, datetime.now(UTC)).listed)
