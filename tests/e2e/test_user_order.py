"""Each user's events keep the order in which they were sent, in the topic and in the answers, under many senders."""

import json
import random
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.routing import EVENTS_TOPIC
from local_runtime.kafka_trigger.watermarks import read_watermarks
from tests.e2e.http_client import ApiClient

USERS = 1_000
EVENTS_PER_USER = 5
SENDERS = 8
BATCH_MAX = 160
PAGE = 500
START = datetime(2017, 1, 1, tzinfo=UTC)


class Sending:
    """Seeded events of one day that no other test uses; each user is one sender's, whose users take turns at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.marker = uuid.uuid4().hex[:8]
        self.start = START + timedelta(days=uuid.uuid4().int % 300)
        self.lanes = [self._lane(number) for number in range(SENDERS)]
        self.expected: dict[str, list[str]] = defaultdict(list)
        for event in (event for lane in self.lanes for batch in lane for event in batch):
            self.expected[event["user_id"]].append(event["id"])

    def conversation(self, lane: int) -> str:
        """A conversation of all users of one sender."""
        return f"{self.marker}-lane{lane}"

    def _lane(self, number: int) -> list[list[dict[str, Any]]]:
        """The batches of one sender: of any size, some with several events of one user."""
        turns = [f"{self.marker}-u{user}" for user in range(number, USERS, SENDERS)] * EVENTS_PER_USER
        self.random.shuffle(turns)
        events = [
            {
                "id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
                "user_id": user,
                "conversation_id": self.conversation(number),
                "event_name": "sent",
                "timestamp": (self.start + timedelta(milliseconds=turn)).isoformat(),
            }
            for turn, user in enumerate(turns)
        ]
        batches = []
        while events:
            size = self.random.randint(1, BATCH_MAX)
            batches.append(events[:size])
            del events[:size]
        return batches


@pytest.fixture(scope="module")
def sending(stack: Any, writer: ApiClient) -> Sending:
    """All of it sent, by all senders at the same time, each sender one batch after the other."""
    sending = Sending(seed=23)

    def send(lane: list[list[dict[str, Any]]]) -> Counter[str]:
        answers = [writer.post("/events", {"events": batch}) for batch in lane]
        return Counter(item["status"] for answer in answers for item in answer.body["items"])

    with ThreadPoolExecutor(SENDERS) as pool:
        taken = sum(pool.map(send, sending.lanes), Counter())
    assert taken == {"accepted": USERS * EVENTS_PER_USER}
    stack.wait_until_delivered()
    return sending


def read_topic(bootstrap: str, marker: str) -> dict[str, list[tuple[int, str]]]:
    """For each user with the marker its records in the order of the topic: partition and id."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)) as consumer:
        parts = [TopicPartition(EVENTS_TOPIC, n) for n in sorted(consumer.partitions_for_topic(EVENTS_TOPIC) or ())]
        ends = read_watermarks(bootstrap, parts)
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, records in consumer.poll(timeout_ms=1_000, max_records=5_000).items():
                for record in records:
                    if record.key.startswith(marker.encode()):
                        found[record.key.decode()].append((part.partition, json.loads(record.value)["id"]))
    return found


def test_the_topic_holds_the_events_of_each_user_in_the_order_sent(stack: Any, sending: Sending) -> None:
    found = read_topic(stack.connection.kafka, sending.marker)

    assert len(found) == USERS
    assert {user: [identifier for _, identifier in records] for user, records in found.items()} == sending.expected
    assert {len({partition for partition, _ in records}) for records in found.values()} == {1}


def test_the_answers_hold_the_events_of_each_user_in_the_order_sent(sending: Sending, reader: ApiClient) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for lane in range(SENDERS):
        cursor = None
        while True:
            query = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
            page = reader.get(f"/conversations/{sending.conversation(lane)}/events", **query).body
            for event in page["events"]:
                found[event["user_id"]].append(event["id"])
            cursor = page["next_cursor"]
            if cursor is None:
                break

    assert found == sending.expected


def test_the_report_counts_each_user_once_per_event(sending: Sending, reader: ApiClient) -> None:
    window = {"start": sending.start.isoformat(), "end": (sending.start + timedelta(days=1)).isoformat()}

    report = reader.get("/reports/top-users", limit=USERS, **window).body

    assert {user["user_id"]: user["events"] for user in report["users"]} == dict.fromkeys(
        sending.expected, EVENTS_PER_USER
    )
    assert (report["events_total"], report["users_total"]) == (USERS * EVENTS_PER_USER, USERS)
