"""With Kafka gone, what is sent is kept in S3 and counted once when Kafka is back. On a stack of its own."""

import dataclasses
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime import lag, tansu
from local_runtime.assembly import TOPICS, Tallystream
from local_runtime.settings import PORT_SETTINGS, LocalSettings
from local_runtime.stack import Stack, started
from tests.e2e.http_client import ApiClient
from tests.e2e.scheduled_jobs import run_jobs

AT = "2005-03-04T05:06:07Z"
ANSWER_SECONDS_MAX = 9.0  # what the guarantees promise, gateway and all


@pytest.fixture
def lone_stack(local_settings: LocalSettings, tmp_path: Path) -> Iterator[Stack]:
    free_ports = dict.fromkeys(PORT_SETTINGS, 0)
    with started(dataclasses.replace(local_settings, state_dir=tmp_path, **free_ports), Tallystream()) as supervisor:
        yield supervisor


def test_what_is_sent_while_kafka_is_gone_is_spooled_and_counted_once_later(lone_stack: Stack) -> None:
    connection = lone_stack.connection
    writer, reader = (
        ApiClient(connection.api_url, connection.write_key),
        ApiClient(connection.api_url, connection.read_key),
    )
    events = [{"id": str(uuid.uuid4()), "user_id": f"u{n % 3}", "event_name": "e", "timestamp": AT} for n in range(30)]
    assert writer.post("/events", {"events": events[:10]}).status == 202
    assert lag.wait_until_drained(connection.trigger_status_url) == {}

    lone_stack.kill("kafka")
    for batch in (events[:20], events[10:]):
        began = time.monotonic()
        answer = writer.post("/events", {"events": batch})
        assert time.monotonic() - began < ANSWER_SECONDS_MAX
        assert (answer.status, {item["status"] for item in answer.body["items"]}) == (202, {"spooled"})
    lone_stack.restart("kafka")
    tansu.create_topics(connection.kafka, TOPICS)

    window = {"start": "2005-03-04T00:00:00Z", "end": "2005-03-05T00:00:00Z"}
    deadline = time.monotonic() + 60
    while (total := reader.get("/reports/top-users", **window).body["events_total"]) != len(events):
        assert time.monotonic() < deadline, f"{total} of {len(events)} events\n{lone_stack.log_of('trigger')}"
        run_jobs(connection, "drain_spool")
        time.sleep(0.5)
    objects = (
        aws_session(connection.aws_endpoint)
        .client("s3")
        .list_objects_v2(Bucket=connection.archive_bucket, Prefix="spool/v1/")
    )
    assert [entry["Key"] for entry in objects.get("Contents", []) if "lease" not in entry["Key"]] == []
