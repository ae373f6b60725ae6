"""Events of a day of their own, and what every page about that day must say."""

import base64
import math
import operator
import random
import statistics
import struct
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = datetime(2026, 3, 9, tzinfo=UTC)
RANGE = "start=2026-03-09T00%3A00%3A00.000Z&end=2026-03-10T00%3A00%3A00.000Z"
TYPES = {"chat.completion": 900, "tool.search": 300, "retrieval.query": 80, "agent.step": 1_500}
ERRORS = ("upstream timeout after 30 s", "rate limited by the model's provider", "context length exceeded")
QUESTIONS = (
    "How do I rotate a key without downtime?",
    "Why did my invoice double this month?",
    "Summarise the attached contract in five bullet points",
    "Translate this reply into German, in a formal tone",
)
ANSWERS = ("Create a second key first, roll it out, then revoke the old one.", "Two seats were added on the fourth.")
SESSIONS = 24
DIMENSIONS = 16


def make_events(seed: int = 5) -> list[dict[str, Any]]:
    """Sessions of four to fourteen events; one session in five fails often."""
    chance = random.Random(seed)
    events: list[dict[str, Any]] = []
    for session in range(SESSIONS):
        at = DAY + timedelta(minutes=chance.randrange(30, 1_350))
        rate = 0.5 if session % 5 == 0 else 0.04
        for _ in range(chance.randrange(4, 15)):
            events.append(_make_event(chance, session, at, is_failed=chance.random() < rate))
            at += timedelta(seconds=chance.randrange(1, 60))
    return events


def _make_event(chance: random.Random, session: int, at: datetime, *, is_failed: bool) -> dict[str, Any]:
    name = chance.choice(list(TYPES))
    event: dict[str, Any] = {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "user_id": f"user-{session % 9}",
        "conversation_id": f"session-{session:02}",
        "event_name": name,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "latency_ms": round(TYPES[name] * chance.lognormvariate(0, 0.5), 1),
        "input": chance.choice(QUESTIONS),
        "properties": {"plan": chance.choice(["free", "pro"]), "tokens": {"input": chance.randrange(50, 4_000)}},
        "conversation_metadata": {"channel": "web"},
    }
    if name == "chat.completion":
        vector = [chance.gauss(0, 1) for _ in range(DIMENSIONS)]
        event["input_embeddings"] = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    return event | ({"error": chance.choice(ERRORS)} if is_failed else {"output": chance.choice(ANSWERS)})


def failed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with an error."""
    return [event for event in events if event.get("error")]


def worst_session(events: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The session of the highest error rate, the first by name of several, and its events in order of time."""
    sessions = {event["conversation_id"] for event in events}
    rate = {
        name: statistics.mean("error" in event for event in events if event["conversation_id"] == name)
        for name in sessions
    }
    name = min(sessions, key=lambda name: (-rate[name], name))
    return name, [event for event in events if event["conversation_id"] == name]


def counted(events: list[dict[str, Any]], field: str) -> list[tuple[str, int]]:
    """Values of a field by how many events carry them, then by value."""
    counts = Counter(event[field] for event in events if event.get(field))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def nearest(events: list[dict[str, Any]], one: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """Other events by the cosine of the angle between their embeddings and this one's, the largest first."""

    def vector(event: dict[str, Any]) -> tuple[float, ...]:
        return struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(event["input_embeddings"]))

    def cosine(other: dict[str, Any]) -> float:
        own, others = vector(one), vector(other)
        return sum(map(operator.mul, own, others)) / (math.hypot(*own) * math.hypot(*others))

    others = [event for event in events if "input_embeddings" in event and event is not one]
    return sorted(((cosine(event), event) for event in others), key=lambda pair: -pair[0])
