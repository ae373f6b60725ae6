"""Raw JSON of one event -> an accepted event or the reason why not."""

import base64
import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.embeddings import EMBEDDING_FLOATS_MAX
from event_analytics.errors import Reason, Refused
from event_analytics.event import Event, decode_stored_event, encode_event
from event_analytics.event_fields import read_fields
from event_analytics.identifiers import timestamp_ms_of
from event_analytics.validate import accept_event, complete_event
from tests.builders import ACCEPTED_MS, ACCEPTED_US, UUID4, UUID7, an_acceptance, an_event, raw


def accept(event: bytes | dict[str, Any], index: int = 0, **acceptance: Any) -> Event:
    encoded = event if isinstance(event, bytes) else json.dumps(event).encode()
    return accept_event(encoded, index, an_acceptance(**acceptance))


def refusal_of(event: bytes | dict[str, Any], **acceptance: Any) -> tuple[str, str | None]:
    with pytest.raises(Refused) as refused:
        accept(event, **acceptance)
    return str(refused.value.reason), refused.value.field


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


REFUSALS = [
    pytest.param(b"{", "json_invalid", None, id="no JSON"),
    pytest.param(b"[1]", "event_not_object", None, id="an array"),
    pytest.param(raw(colour="red"), "unknown_field", "colour", id="an unknown field"),
    pytest.param(raw(accepted_us=1), "unknown_field", "accepted_us", id="a field of ours"),
    pytest.param(raw(type="x"), "ambiguous_field", "event_name", id="a field under both names"),
    pytest.param(raw(event_name=None), "field_missing", "event_name", id="no event name"),
    pytest.param(raw(user_id=7), "wrong_type", "user_id", id="a number as user"),
    pytest.param(raw(latency_ms="fast"), "wrong_type", "latency_ms", id="a text as latency"),
    pytest.param(raw(latency_ms=True), "wrong_type", "latency_ms", id="a boolean as latency"),
    pytest.param(raw(properties=[1]), "wrong_type", "properties", id="an array as properties"),
    pytest.param(raw(error=5), "wrong_type", "error", id="a number as error"),
    pytest.param(raw(user_id=""), "text_empty", "user_id", id="an empty user"),
    pytest.param(raw(event_name="x" * 129), "text_too_long", "event_name", id="a long name"),
    pytest.param(raw(output="a\0b"), "text_invalid", "output", id="a NUL"),
    pytest.param(raw(properties={"a\0": 1}), "text_invalid", "properties", id="a NUL in a key"),
    pytest.param(raw(output="\ud800"), "text_invalid", "output", id="a lone surrogate"),
    pytest.param(raw(output="?").replace(b"?", b"\xff"), "text_invalid", "output", id="no UTF-8"),
    pytest.param(raw(id="12"), "id_invalid", "id", id="an id that is no UUID"),
    pytest.param(raw(user_id=None, conversation_id=None), "actor_missing", "user_id", id="nobody"),
    pytest.param(raw(timestamp="yesterday"), "timestamp_invalid", "timestamp", id="a word as time"),
    pytest.param(raw(timestamp="2026-01-01T00:00:00"), "timestamp_invalid", "timestamp", id="a time without zone"),
    pytest.param(raw(timestamp=1.5), "timestamp_invalid", "timestamp", id="a fraction as time"),
    pytest.param(raw(id=UUID4), "timestamp_required", "timestamp", id="a v4 id without time"),
    pytest.param(raw(timestamp=0), "timestamp_out_of_range", "timestamp", id="1970"),
    pytest.param(raw(timestamp=1_700_000_000), "timestamp_out_of_range", "timestamp", id="seconds for milliseconds"),
    pytest.param(raw(timestamp=ACCEPTED_MS + 86_400_001), "timestamp_out_of_range", "timestamp", id="over a day ahead"),
    pytest.param(
        raw(id="ffffffff-ffff-7000-8000-000000000001"), "timestamp_out_of_range", "timestamp", id="year 10889"
    ),
    pytest.param(raw(latency_ms=float("nan")), "number_not_finite", "latency_ms", id="NaN"),
    pytest.param(raw(latency_ms=float("inf")), "number_not_finite", "latency_ms", id="infinity"),
    pytest.param(raw(properties={"a": float("-inf")}), "number_not_finite", "properties", id="infinity inside"),
    pytest.param(raw(latency_ms=1).replace(b": 1}", b": 1e999}"), "number_not_finite", "latency_ms", id="1e999"),
    pytest.param(raw(latency_ms=10**400), "number_not_finite", "latency_ms", id="a whole number beyond floats"),
    pytest.param(raw(input_embeddings=[1e300]), "number_not_finite", "input_embeddings", id="no float32"),
    pytest.param(raw(input_embeddings="AADAfw=="), "number_not_finite", "input_embeddings", id="NaN in base64"),
    pytest.param(raw(latency_ms=-1), "number_negative", "latency_ms", id="a negative latency"),
    pytest.param(raw(input_embeddings="?"), "embedding_invalid", "input_embeddings", id="no base64"),
    pytest.param(raw(input_embeddings="AAA="), "embedding_invalid", "input_embeddings", id="half a float"),
    pytest.param(raw(output_embeddings=["a"]), "embedding_invalid", "output_embeddings", id="a text as float"),
    pytest.param(
        raw(output_embeddings=[0.5] * (EMBEDDING_FLOATS_MAX + 1)), "embedding_too_long", "output_embeddings", id="4,097"
    ),
    pytest.param(
        raw(properties=1).replace(b": 1}", b": %b}" % nested(21)), "json_too_deep", "properties", id="21 deep"
    ),
    pytest.param(
        raw(properties=1).replace(b": 1}", b": %b}" % nested(900)), "json_too_deep", "properties", id="900 deep"
    ),
    pytest.param(
        raw(properties={str(n): n for n in range(1_001)}), "json_too_many_keys", "properties", id="1,001 keys"
    ),
]
"""A case for each way in which one event is refused; `test_errors` holds them against the closed set."""


@pytest.mark.parametrize(("event", "reason", "field"), REFUSALS)
def test_refuses_with_the_reason_and_the_field(event: bytes, reason: str, field: str | None) -> None:
    assert refusal_of(event) == (reason, field)


def test_takes_the_widest_event_the_limits_allow() -> None:
    event = accept(
        an_event(
            user_id="ü" * 128,
            timestamp=ACCEPTED_MS + 86_400_000,
            latency_ms=0,
            input_embeddings=[0.5] * EMBEDDING_FLOATS_MAX,
            properties={str(n): n for n in range(1_000)},
            conversation_metadata=json.loads(nested(20)),
        )
    )

    assert event.user_id == "ü" * 128


def test_aliases_give_the_same_event_as_canonical_names() -> None:
    canonical = accept(
        {"id": UUID7, "event_name": "e", "timestamp": 1_789_000_000_000, "properties": {"a": 1}, "latency_ms": 3.5,
         "conversation_id": "c"}
    )  # fmt: skip
    aliased = accept(
        {"event_id": UUID7, "type": "e", "ts": 1_789_000_000_000, "props": {"a": 1}, "latency": 3.5, "session_id": "c"}
    )

    assert encode_event(aliased, 1) == encode_event(canonical, 1)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678999+05:30", datetime(2026, 1, 1, 21, 34, 5, 678_000, tzinfo=UTC)),
        (1_767_323_045_678, datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)),
    ],
)
def test_keeps_time_in_utc_to_the_millisecond(sent: object, kept: datetime) -> None:
    assert accept(an_event(timestamp=sent)).timestamp == kept


def test_time_defaults_to_the_one_inside_a_version_7_id() -> None:
    event = accept(an_event(id=UUID7))

    assert event.timestamp == datetime.fromtimestamp(ACCEPTED_MS / 1_000, tz=UTC)


def test_event_without_id_gets_a_version_7_id_with_its_own_time() -> None:
    first, second = (accept(an_event(id=None, timestamp=1_780_000_000_000)) for _ in range(2))

    assert first.id is not None
    assert timestamp_ms_of(first.id) == 1_780_000_000_000
    assert first.id != second.id


def test_event_with_neither_id_nor_time_happens_now() -> None:
    event = accept(an_event(id=None))

    assert event.timestamp == datetime.fromtimestamp(ACCEPTED_MS / 1_000, tz=UTC)


def test_idempotency_key_gives_the_same_ids_again_and_others_to_others() -> None:
    def ids(owner: str, key: str) -> list[object]:
        event = an_event(id=None, timestamp=1_780_000_000_000)
        return [accept(event, index, idempotency=(owner, key)).id for index in range(3)]

    assert ids("k1", "a") == ids("k1", "a")
    assert len({*ids("k1", "a"), *ids("k2", "a"), *ids("k1", "b")}) == 9


def test_idempotency_key_needs_a_timestamp() -> None:
    assert refusal_of(an_event(id=None), idempotency=("k1", "a")) == ("timestamp_required", "timestamp")


def test_empty_error_is_success() -> None:
    assert accept(an_event(error="")).error is None


@pytest.mark.parametrize(
    ("sent", "kept"), [({"a": 1.50}, '{"a": 1.5}'), ([1, 2], "[1, 2]"), (7, "7"), (False, "false"), ("text", "text")]
)
def test_input_that_is_no_text_is_kept_as_its_json(sent: object, kept: str) -> None:
    assert accept(an_event(input=sent)).input == kept


def test_properties_keep_their_text_on_one_line() -> None:
    sent = b'{"user_id":"u","event_name":"e","properties":{"big": 12345678901234567890,\n "one": 1.0,\r\n "a.b": null}}'

    encoded = encode_event(accept(sent), ACCEPTED_US)

    assert b'{"big": 12345678901234567890,  "one": 1.0,   "a.b": null}' in encoded
    assert b"\n" not in encoded


@pytest.mark.parametrize("sent", [[0.5, -2.0], base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode()])
def test_embeddings_travel_as_base64_of_float32(sent: object) -> None:
    packed = accept(an_event(input_embeddings=sent)).input_embeddings

    assert isinstance(packed, str)
    assert struct.unpack("<2f", base64.b64decode(packed)) == (0.5, -2.0)


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert accept(b'{"user_id":"u","event_name":"e","output":"\\\\u0000"}').output == "\\u0000"


def test_control_characters_of_a_sloppy_encoder_are_kept() -> None:
    assert accept(b'{"user_id":"u","event_name":"e","output":"a\tb"}').output == "a\tb"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
CANONICAL_EVENTS = st.fixed_dictionaries(
    {"user_id": st.text("abcü", min_size=1, max_size=9), "event_name": st.text("xyz", min_size=1, max_size=9)},
    optional={
        "id": st.uuids(version=4).map(str),
        "timestamp": st.integers(946_684_800_000, ACCEPTED_MS),
        "error": st.none() | st.text("e ", max_size=3),
        "latency_ms": st.none() | st.floats(0, 1e9) | st.integers(0, 10**9),
        "input": st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9),
        "output": JSON_VALUES,
        "input_embeddings": st.none() | st.lists(st.floats(-1e9, 1e9, width=32), max_size=4),
        "properties": st.none() | st.dictionaries(st.text("abc", max_size=3), JSON_VALUES, max_size=3),
    },
)


@given(CANONICAL_EVENTS)
def test_both_ways_to_read_an_event_agree(event: dict[str, Any]) -> None:
    encoded = json.dumps(event).encode()
    acceptance = an_acceptance(random_bytes=bytes)

    def outcome(first_step: Any) -> object:
        try:
            return encode_event(first_step(), ACCEPTED_US)
        except Refused as refused:
            return refused.reason, refused.field

    slow = outcome(lambda: complete_event(read_fields(encoded), 0, acceptance))
    assert outcome(lambda: accept_event(encoded, 0, acceptance)) == slow


@given(CANONICAL_EVENTS)
def test_an_accepted_event_survives_its_encoding(event: dict[str, Any]) -> None:
    try:
        accepted = accept(event)
    except Refused as refused:
        assert refused.reason is Reason.TIMESTAMP_REQUIRED
        return

    stored = decode_stored_event(encode_event(accepted, ACCEPTED_US))
    assert (stored.id, stored.timestamp, stored.accepted_us) == (accepted.id, accepted.timestamp, ACCEPTED_US)
    assert (stored.user_id, stored.event_name) == (event["user_id"], event["event_name"])
    assert (stored.latency_ms, stored.input, stored.error) == (
        event.get("latency_ms"),
        event.get("input"),
        event.get("error") or None,
    )


@given(st.binary(max_size=200) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_whatever_raise_anything_but_a_refusal(body: bytes) -> None:
    try:
        accept(body)
    except Refused as refused:
        assert refused.status in (400, 413)
