"""What goes in over HTTP comes out of the reports once, whatever is sent twice and whatever dies in between.

Every answer is held against a count in plain Python over the events that were sent.
"""

import gzip
import json
import random
import uuid
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from event_analytics.archive_keys import parse_key
from tests.e2e.http_client import ApiClient

EVENTS = 2_400
BATCH = 400
NAMES = ("message_sent", "question_answered", "search")


class History:
    """Seeded events within one day that no other test uses."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.start = datetime(2003, 1, 1, tzinfo=UTC) + timedelta(days=self.random.randrange(2_000))
        self.end = self.start + timedelta(days=1)
        self.marker = uuid.uuid4().hex[:8]
        self.events = [self._event() for _ in range(EVENTS)]

    def _event(self) -> dict[str, Any]:
        # A tenth shares its millisecond with others, so that the order within one is tested.
        at_ms = (
            self.random.randrange(86_400_000) if self.random.random() < 0.9 else 3_600_000 * self.random.randrange(24)
        )
        instant = self.start + timedelta(milliseconds=at_ms)
        event: dict[str, Any] = {
            "id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "conversation_id": f"{self.marker}-c{self.random.randrange(60)}",
            "event_name": self.random.choice(NAMES),
            "timestamp": instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if self.random.random() < 0.9:
            event["user_id"] = f"{self.marker}-u{int(self.random.paretovariate(1)) % 40}"
        if self.random.random() < 0.7:
            event["latency_ms"] = round(self.random.expovariate(1 / 400), 3)
        if self.random.random() < 0.3:
            event |= {"input": "wie spät? ⏰", "output": "zehn\n", "properties": {"n": self.random.randrange(9)}}
        return event


@pytest.fixture(scope="module")
def history(stack: Any, writer: ApiClient) -> History:
    """Events sent in two halves, the second half twice, with the trigger killed in between."""
    history = History(seed=7)
    batches = [history.events[start : start + BATCH] for start in range(0, EVENTS, BATCH)]
    for number, batch in enumerate(batches):
        for _ in range(1 + number % 2):
            answer = writer.post("/events", {"events": batch})
            assert (answer.status, answer.body["accepted"]) == (202, len(batch)), answer
        if number == len(batches) // 2:
            stack.restart_trigger()
    for batch in batches[:2]:
        writer.post("/events", {"events": batch})
    stack.wait_until_delivered()
    return history


def window_of(history: History) -> dict[str, str]:
    return {"start": history.start.isoformat(), "end": history.end.isoformat()}


def test_top_users_equals_a_count_in_python(history: History, reader: ApiClient) -> None:
    counts = Counter(event["user_id"] for event in history.events if "user_id" in event)
    expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    answer = reader.get("/reports/top-users", limit=1_000, **window_of(history)).body

    assert [(user["user_id"], user["events"]) for user in answer["users"]] == expected
    assert (answer["events_total"], answer["users_total"]) == (sum(counts.values()), len(counts))
    assert answer["exact"] is True


def test_top_users_is_cut_at_the_limit_and_half_open_at_the_end(history: History, reader: ApiClient) -> None:
    instants = sorted(event["timestamp"] for event in history.events if "user_id" in event)
    start, end = instants[100], instants[-100]
    expected = sum(start <= instant < end for instant in instants)

    answer = reader.get("/reports/top-users", limit=3, start=start, end=end).body

    assert len(answer["users"]) == 3
    assert answer["events_total"] == expected


def test_latency_equals_quantiles_in_python(history: History, reader: ApiClient) -> None:
    by_name: dict[str, list[float]] = defaultdict(list)
    for event in history.events:
        if "latency_ms" in event:
            by_name[event["event_name"]].append(event["latency_ms"])

    answer = reader.get("/reports/latency", **window_of(history)).body

    assert [row["event_name"] for row in answer["latency"]] == sorted(by_name)
    for row in answer["latency"]:
        ordered = sorted(by_name[row["event_name"]])
        expected = [ordered[min(int(level * len(ordered)), len(ordered) - 1)] for level in (0.5, 0.95, 0.99)]
        assert [row["p50_ms"], row["p95_ms"], row["p99_ms"]] == expected
        assert row["events"] == len(ordered)


def test_a_conversation_comes_in_order_page_by_page(history: History, reader: ApiClient) -> None:
    conversation_id = history.events[0]["conversation_id"]
    expected = sorted(
        (event["timestamp"], event["id"]) for event in history.events if event["conversation_id"] == conversation_id
    )

    found, cursor = [], None
    while True:
        query = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = reader.get(f"/conversations/{conversation_id}/events", **query).body
        found += [(event["timestamp"], event["id"]) for event in page["events"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert found == expected


def test_an_event_comes_back_as_it_was_sent(history: History, reader: ApiClient) -> None:
    sent = next(event for event in history.events if "properties" in event and "latency_ms" in event)

    found = reader.get(f"/event/{sent['id']}").body

    assert {name: found[name] for name in sent} == sent
    assert found["error"] is None


def test_every_accepted_event_is_in_the_archive(history: History, stack: Any) -> None:
    connection = stack.connection
    client = aws_session(connection.aws_endpoint).client("s3")
    archived: Counter[str] = Counter()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=connection.archive_bucket, Prefix="raw/v1/"):
        for entry in page.get("Contents", []):
            key = parse_key(entry["Key"])
            assert key is not None
            body = client.get_object(Bucket=connection.archive_bucket, Key=entry["Key"])["Body"].read()
            lines = [json.loads(line) for line in gzip.decompress(body).splitlines()]
            offsets = [line["offset"] for line in lines]
            assert offsets == sorted(set(offsets) & set(range(key.first_offset, key.last_offset + 1)))
            archived.update((line.get("value") or {}).get("id") for line in lines)

    assert {event["id"] for event in history.events} <= set(archived)
