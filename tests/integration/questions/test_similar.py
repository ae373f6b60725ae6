"""Similar events equal plain Python's cosine over all vectors, whatever came twice, was changed or deleted."""

import base64
import json
import math
import random
import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from event_analytics.embeddings import pack_embedding
from event_analytics.errors import Refused
from event_analytics.observability import InvocationLine
from event_analytics.questions.catalog import BY_NAME
from functions.query import app
from tests.builders import a_request
from tests.fakes import FakeKeySource, FakeObjectStore

START = datetime(2026, 8, 3, tzinfo=UTC)
NOW = START + timedelta(days=10)
HIDDEN = 2**60  # a version above all others


class Vector(NamedTuple):
    """One event with a vector of its input."""

    id: str
    conversation_id: str
    event_name: str
    timestamp: datetime
    numbers: tuple[float, ...]


def cosine(left: Any, right: Any) -> float:
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return float(dot / math.sqrt(sum(a * a for a in left)) / math.sqrt(sum(b * b for b in right)))


def random_vectors(count: int) -> list[Vector]:
    source = random.Random(3)
    return [
        Vector(
            str(uuid.UUID(int=source.getrandbits(128), version=4)),
            f"s{source.randrange(6)}",
            source.choice(["asked", "answered"]),
            START + timedelta(minutes=source.randrange(7 * 24 * 60)),
            tuple(source.uniform(-1, 1) for _ in range(source.choice([4, 4, 4, 3]))),
        )
        for _ in range(count)
    ]


def lines_of(vectors: list[Vector], table: str, **more: Any) -> bytes:
    rows = []
    for each in vectors:
        key = {"id": each.id, "conversation_id": each.conversation_id, "timestamp": each.timestamp.isoformat()}
        name = {"event_name": each.event_name} if table == "events" else {}
        packed = pack_embedding(list(each.numbers), "v")
        vector = {} if table == "events" else {"input_embeddings_base64": packed, "output_embeddings_base64": ""}
        rows.append(json.dumps({**key, **name, **vector, "accepted_us": 1, **more}))
    return "\n".join(rows).encode()


@pytest.fixture(scope="module")
def vectors(store) -> list[Vector]:
    """Live ones. Every second came twice, every tenth is deleted, every tenth has another vector by now."""
    first = random_vectors(120)
    columns = (
        "id",
        "conversation_id",
        "timestamp",
        "accepted_us",
        "input_embeddings_base64",
        "output_embeddings_base64",
    )
    deleted, changed = first[::10], first[5::10]
    newer = [each._replace(numbers=tuple(-number for number in each.numbers)) for each in changed]
    for rows, more in ((first, {}), (first[::2], {}), (deleted, {"version": HIDDEN, "is_deleted": 1})):
        store.insert_rows("events", lines_of(rows, "events", **more), uuid.uuid4().hex)
        names = (*columns, *more)
        store.insert_rows("event_embeddings", lines_of(rows, "event_embeddings", **more), uuid.uuid4().hex, names)
    names = (*columns, "version")
    store.insert_rows("event_embeddings", lines_of(newer, "e", version=HIDDEN), uuid.uuid4().hex, names)
    now = {each.id: each for each in (*first, *newer)}
    return [each for name, each in now.items() if name not in {gone.id for gone in deleted}]


@pytest.fixture(scope="module")
def ask(store):
    keys = FakeKeySource()
    deps = app.Deps(store=store, objects=FakeObjectStore(), keys=keys, now=lambda: NOW)

    def ask(**members: Any) -> list[tuple[str, float]]:
        body = json.dumps(members)
        request = a_request(body, key=keys.read_key)
        answer = app.handle_question(BY_NAME["similar-events"], request, deps, InvocationLine())
        assert json.loads(answer.body)["exact"] is True
        return [(row["id"], row["similarity"]) for row in json.loads(answer.body)["events"]]

    return ask


def nearest(vectors: list[Vector], numbers: Any, limit: int = 10) -> list[tuple[str, float]]:
    same_length = [each for each in vectors if len(each.numbers) == len(numbers)]
    found = sorted((-cosine(each.numbers, numbers), each.id) for each in same_length)
    return [(name, pytest.approx(-distance, abs=1e-5)) for distance, name in found[:limit]]  # type: ignore[misc]


@pytest.mark.parametrize("length", [4, 3])
def test_the_nearest_vectors_of_the_same_length_come_first(length: int, ask, vectors) -> None:
    numbers = [0.3, -0.2, 0.9, 0.1][:length]

    assert ask(embedding=numbers, limit=100) == nearest(vectors, numbers, 100)


def test_a_vector_may_come_as_base64_of_float32(ask, vectors) -> None:
    packed = base64.b64encode(struct.pack("<4f", 1, 0, 0.5, 0)).decode()

    assert ask(embedding=packed) == nearest(vectors, [1, 0, 0.5, 0])


def test_an_event_is_like_others_and_not_its_own_answer(ask, vectors) -> None:
    own = next(each for each in vectors if len(each.numbers) == 4)

    assert ask(id=own.id) == nearest([each for each in vectors if each.id != own.id], own.numbers)


def between(first: int, last: int) -> dict[str, str]:
    days = {"start": first, "end": last}
    return {name: (START + timedelta(days=day)).isoformat() for name, day in days.items()}


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"event_name": "asked"}, lambda each: each.event_name == "asked"),
        ({"conversation_id": "s1"}, lambda each: each.conversation_id == "s1"),
        (between(1, 3), lambda each: 1 <= (each.timestamp - START) / timedelta(days=1) < 3),
        (
            {**between(1, 5), "event_name": "answered", "has_error": False},
            lambda each: 1 <= (each.timestamp - START) / timedelta(days=1) < 5 and each.event_name == "answered",
        ),
        ({"has_error": True}, lambda each: False),
    ],
)
def test_filters_hold_for_the_events_themselves(filters: dict[str, Any], matches: Any, ask, vectors) -> None:
    expected = nearest([each for each in vectors if matches(each)], [1, 1, 1, 1], 100)

    assert ask(embedding=[1, 1, 1, 1], limit=100, **filters) == expected


def test_a_vector_of_zeros_is_like_nothing(ask, vectors) -> None:
    assert ask(embedding=[0, 0, 0, 0]) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "field_missing"),
        ({"embedding": [1], "id": str(uuid.UUID(int=1))}, "ambiguous_field"),
        ({"embedding": []}, "embedding_invalid"),
        ({"embedding": [1, "2"]}, "embedding_invalid"),
        ({"embedding": [True]}, "embedding_invalid"),
        ({"embedding": "!"}, "embedding_invalid"),
        ({"embedding": [0.5] * 5_000}, "embedding_too_long"),
        ({"embedding": [1e39]}, "number_not_finite"),
        ({"id": "x"}, "id_invalid"),
        ({"id": str(uuid.UUID(int=7))}, "event_not_found"),
        ({"embedding": [1], "of": "metadata"}, "parameter_invalid"),
        ({"embedding": [1], "limit": 101}, "limit_invalid"),
        ({"embedding": [1], "limit": 1.5}, "limit_invalid"),
        ({"embedding": [1], "user_id": ["u"]}, "wrong_type"),
        ({"embedding": [1], "nearest": 3}, "parameter_unknown"),
        ({"embedding": [1], "start": "2026-08-04"}, "window_invalid"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(members: dict[str, Any], reason: str, ask) -> None:
    with pytest.raises(Refused) as refused:
        ask(**members)

    assert str(refused.value.reason) == reason


def test_an_event_without_that_vector_says_so(ask, vectors) -> None:
    with pytest.raises(Refused) as refused:
        ask(id=vectors[0].id, of="output")

    assert str(refused.value.reason) == "embedding_missing"
