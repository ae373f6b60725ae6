"""Dead letters over HTTP: listed, shown, sent again."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.routing import EVENTS_TOPIC, Record
from tests.builders import an_event
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient


@pytest.fixture
def refused(stack: EmbeddedStack) -> dict[str, Any]:
    """An event that is a dead letter, whose cause is mended by now."""
    event_name = f"refused_{uuid.uuid4().hex}"
    event = an_event(id=str(uuid.uuid4()), event_name=event_name, timestamp="2026-09-21T14:13:20Z")
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    log = KafkaEventLog(stack.connection.kafka, "plaintext", client_id="dead-letters-api-test")
    store.command(f"ALTER TABLE events ADD CONSTRAINT {event_name} CHECK event_name != '{event_name}'")
    try:
        value = json.dumps({**event, "accepted_us": time.time_ns() // 1_000}).encode()
        assert log.append([Record(EVENTS_TOPIC, b"u1", value, time.time_ns() // 1_000_000)]) == [True]
        stack.wait_until_delivered()
    finally:
        log.close()
        store.command(f"ALTER TABLE events DROP CONSTRAINT {event_name}")
    return event


def test_an_operator_finds_a_dead_letter_and_sends_it_again(
    stack: EmbeddedStack, admin: ApiClient, reader: ApiClient, refused: dict[str, Any]
) -> None:
    since = datetime.fromtimestamp(time.time() - 60, UTC).isoformat()
    listed = admin.get("/dead-letters", reason="store_rejected", start=since, limit=100)
    shown = [admin.get(f"/dead-letters/{letter['id']}").body for letter in listed.body["letters"]]
    (letter,) = (one for one in shown if refused["id"] in one["value"])
    counted = reader.get("/reports/pipeline").body["dead_letters_24h"]

    assert (letter["error_name"], letter["topic"], letter["key"]) == ("VIOLATED_CONSTRAINT", "events", "u1")
    dry = admin.post("/dead-letters/redrive", {"ids": [letter["id"]], "dry_run": True})
    assert (dry.status, dry.body["letters"]) == (200, [{"id": letter["id"], "status": "would_redrive"}])

    sent = admin.post("/dead-letters/redrive", {"ids": [letter["id"]]})
    stack.wait_until_delivered()

    assert sent.body["letters"] == [{"id": letter["id"], "status": "redriven"}]
    assert admin.get(f"/dead-letters/{letter['id']}").reason == "dead_letter_not_found"
    assert reader.get("/reports/pipeline").body["dead_letters_24h"] == counted - 1
    assert reader.get(f"/event/{refused['id']}").body["event_name"] == refused["event_name"]


def test_other_keys_and_none_are_kept_out(reader: ApiClient, writer: ApiClient, stranger: ApiClient) -> None:
    for client, status in ((reader, 403), (writer, 403), (stranger, 401)):
        assert client.get("/dead-letters").status == status
        assert client.get("/dead-letters/x").status == status
        assert client.post("/dead-letters/redrive", {"dry_run": True}).status == status
