"""What calls make of their arguments. They never raise."""

import asyncio
import base64
import json
import logging
import struct
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract_server import ContractServer
from tallystream import Client, InvalidEvent, TallystreamError
from tallystream.ids import mint_id
from tallystream.ledger import Ledger
from tallystream.tracking import Tracking
from tallystream.writing import EventWriter

MakeClient = Callable[..., Client]
NOW_MS = 1_767_323_045_678


class Recorder(Tracking):
    """Keeps the lines instead of sending them."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.errors: list[TallystreamError] = []
        ledger = Ledger(self.errors.append)
        ledger._write = lambda _error: None  # type: ignore[method-assign] # the log is of no interest here
        self._writer = EventWriter(self.lines.append, ledger, lambda: NOW_MS)

    @property
    def last(self) -> dict[str, Any]:
        return dict(json.loads(self.lines[-1]))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_an_event_carries_an_id_and_a_time_of_its_call(recorder: Recorder) -> None:
    identifier = recorder.track_event("e", user_id="u")

    assert recorder.last == {"id": identifier, "timestamp": NOW_MS, "event_name": "e", "user_id": "u"}
    assert uuid.UUID(identifier).version == 7
    assert uuid.UUID(identifier).int >> 80 == NOW_MS


def test_ids_differ_and_those_of_one_millisecond_sort_as_they_were_made() -> None:
    ids = [mint_id(NOW_MS) for _ in range(10_000)]

    assert len(set(ids)) == 10_000
    assert sum(first > second for first, second in pairwise(ids)) <= 1, "but for a counter's wrap"


def test_every_field_arrives(recorder: Recorder) -> None:
    given = {
        "conversation_id": "c", "latency_ms": 1.5, "error": "timeout", "input": "in", "output": {"a": [1]},
        "properties": {"a": 1}, "conversation_metadata": {"b": 2},
    }  # fmt: skip

    recorder.track_event("e", **given, input_embeddings=[0.5, -1.0], output_embeddings="AAAAAA==")

    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    sent = {name: value for name, value in recorder.last.items() if name not in ("id", "timestamp", "event_name")}
    assert sent == {**given, "input_embeddings": packed, "output_embeddings": "AAAAAA=="}


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/a"), "/a"),
        (Decimal("1.5"), "1.5"),
        ({1}, [1]),
        ((1, 2), [1, 2]),
        (Colour.RED, "red"),
        ("\ud83d half an emoji", "? half an emoji"),
    ],
)
def test_odd_properties_are_kept_as_json(recorder: Recorder, value: object, expected: object) -> None:
    recorder.track_event("e", user_id="u", properties={"p": value})

    assert recorder.last["properties"] == {"p": expected}


def test_what_the_caller_does_to_its_objects_later_changes_nothing(recorder: Recorder) -> None:
    properties = {"a": 1}
    recorder.track_event("e", user_id="u", properties=properties)
    properties["a"] = 2

    assert recorder.last["properties"] == {"a": 1}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=timezone.utc), NOW_MS),
        (datetime(2026, 1, 2, 5, 4, 5, 678_000, tzinfo=timezone(timedelta(hours=2))), NOW_MS),
        (NOW_MS, NOW_MS),
        (float(NOW_MS), NOW_MS),
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
    ],
)
def test_a_time_of_the_caller_is_kept_to_the_millisecond(recorder: Recorder, moment: object, expected: object) -> None:
    identifier = recorder.track_event("e", user_id="u", timestamp=moment)  # type: ignore[arg-type]

    assert recorder.last["timestamp"] == expected
    assert uuid.UUID(identifier).int >> 80 == NOW_MS, "so that the API need not look for another event of this id"


def test_an_id_of_the_caller_is_kept(recorder: Recorder) -> None:
    mine = uuid.uuid4()

    assert recorder.track_event("e", user_id="u", event_id=mine) == str(mine)
    assert recorder.track_event("e", user_id="u", event_id=str(mine).upper()) == str(mine)


CIRCULAR: dict[str, Any] = {}
CIRCULAR["self"] = CIRCULAR


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"user_id": "u", "latency_ms": float("nan")}, "number_not_finite"),
        ({"user_id": "u", "properties": {"a": float("inf")}}, "number_not_finite"),
        ({"user_id": "u", "properties": CIRCULAR}, "json_invalid"),
        ({"user_id": "u", "properties": {(1, 2): 3}}, "json_invalid"),
        ({"user_id": "u", "input": "x" * 900_001}, "event_too_large"),
        ({}, "actor_missing"),
        ({"user_id": ""}, "actor_missing"),
        ({"user_id": "u", "event_id": "7"}, "arguments_invalid"),
        ({"user_id": "u", "timestamp": object()}, "arguments_invalid"),
        ({"user_id": "u", "input_embeddings": ["a"]}, "arguments_invalid"),
    ],
)
def test_what_makes_no_event_is_told_and_not_raised(recorder: Recorder, arguments: dict[str, Any], reason: str) -> None:
    identifier = recorder.track_event("e", **arguments)

    (error,) = recorder.errors
    assert isinstance(error, InvalidEvent)
    assert (error.reason, error.retriable, error.count) == (reason, False, 1)
    assert error.events[0].event_id == identifier
    assert not recorder.lines


def test_an_empty_name_is_told(recorder: Recorder) -> None:
    recorder.track_event("", user_id="u")

    assert recorder.errors[0].reason == "field_missing"


FIELDS = ["user_id", "conversation_id", "error", "latency_ms", "input", "output", "properties", "timestamp", "event_id",
          "input_embeddings", "conversation_metadata"]  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), anything), anything)
def test_no_argument_whatever_makes_a_call_raise(arguments: dict[str, Any], name: Any) -> None:
    recorder = Recorder()

    identifier = recorder.track_event(name, **arguments)

    assert len(identifier) == 36
    assert len(recorder.lines) + len(recorder.errors) == 1
    for line in recorder.lines:
        assert b"\n" not in line
        assert json.loads(line)["id"] == identifier


def test_an_update_sends_what_is_given_and_clears_what_is_none(recorder: Recorder) -> None:
    identifier = mint_id(NOW_MS)

    recorder.update_event(identifier, error=None, output="so", output_embeddings=[1.0])
    assert recorder.last == {
        "id": identifier, "op": "update", "error": None, "output": "so", "output_embeddings": "AACAPw==",
    }  # fmt: skip
    recorder.delete_event(uuid.UUID(identifier))
    assert recorder.last == {"id": identifier, "op": "delete"}
    recorder.update_event("no id", error="x")
    recorder.delete_event("no id")
    assert [error.reason for error in recorder.errors] == ["arguments_invalid"] * 2


def test_a_timed_block_is_an_event_with_its_latency(recorder: Recorder) -> None:
    with recorder.timed("answered", user_id="u", properties={"model": "m"}) as event:
        time.sleep(0.01)
        event.set(output="42")

    assert recorder.last["latency_ms"] >= 10
    assert (recorder.last["output"], recorder.last["properties"]) == ("42", {"model": "m"})
    assert "error" not in recorder.last
    assert event.event_id == recorder.last["id"]


def test_a_timed_block_that_raises_is_an_event_with_its_error(recorder: Recorder) -> None:
    with pytest.raises(TimeoutError), recorder.timed("answered", user_id="u"):
        raise TimeoutError("too slow")

    assert recorder.last["error"] == "TimeoutError: too slow"


def test_a_decorated_function_is_an_event_per_call(recorder: Recorder) -> None:
    @recorder.timed("answered", describe=lambda question, user: {"user_id": user, "input": question})
    def answer(question: str, user: str) -> str:
        return question.upper()

    assert [answer("why", "u1"), answer("how", user="u2")] == ["WHY", "HOW"]
    assert [(json.loads(line)["user_id"], json.loads(line)["input"]) for line in recorder.lines] == [
        ("u1", "why"),
        ("u2", "how"),
    ]


def test_a_decorated_coroutine_is_an_event_when_it_ends(recorder: Recorder) -> None:
    @recorder.timed("answered", user_id="u")
    async def answer() -> str:
        await asyncio.sleep(0.01)
        raise ValueError("no")

    async def ask() -> None:
        async with recorder.timed("asked", user_id="u"):
            with pytest.raises(ValueError, match="no"):
                await answer()

    asyncio.run(ask())

    assert [json.loads(line)["event_name"] for line in recorder.lines] == ["answered", "asked"]
    first = json.loads(recorder.lines[0])
    assert first["latency_ms"] >= 10
    assert first["error"] == "ValueError: no"


def test_a_mistake_in_describing_breaks_no_call(recorder: Recorder) -> None:
    @recorder.timed("answered", user_id="u", describe=lambda: {}["x"])
    def answer() -> int:
        return 42

    assert answer() == 42
    assert recorder.last["properties"] == {"describe_failed": "KeyError('x')"}


def test_a_dry_run_makes_events_and_sends_nothing(
    server: ContractServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(dry_run=True)

    with caplog.at_level(logging.DEBUG, "tallystream"):
        client.track_event("e", user_id="u")

    assert client.flush()
    assert not server.received
    assert '"event_name":"e"' in caplog.text


def test_a_callback_that_raises_stops_nothing(server: ContractServer, make_client: MakeClient) -> None:
    def fail(_error: TallystreamError) -> None:
        raise RuntimeError("mine")

    client = make_client(on_error=fail)
    server.judge = lambda event: "text_invalid" if event["user_id"] == "bad" else None

    client.track_event("e", user_id="bad")
    client.track_event("e")
    client.track_event("e", user_id="good")

    assert client.flush()
    assert len(server.events) == 1
    stats = client.stats()
    assert (stats.acknowledged, stats.rejected, stats.invalid) == (1, 1, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://x"},
        {"url": "http://"},
        {"url": "http://a:b"},
        {"key": ""},
        {"key": "a b"},
        {"overflow": "explode"},
    ],
)
def test_what_no_client_can_be_made_of_is_refused_at_once(make_client: MakeClient, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make_client(**options)
