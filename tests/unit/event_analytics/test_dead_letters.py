"""A dead record -> the object and the copy on the topic that keep it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.dead_letters import (
    DEAD_LETTERS_PREFIX,
    DeadLetterWriter,
    DeadRecord,
    LetterName,
    dead_letter_of,
    hour_entry,
    letter_name,
    parse_letter_name,
    read_letter,
)
from event_analytics.errors import LogUnavailable
from tests.builders import ACCEPTED_MS, a_record
from tests.fakes import FakeEventLog, FakeObjectStore

DEAD_MS = ACCEPTED_MS + 5_000
DEAD = DeadRecord(a_record(5, value=b"\xff{", key=b"\xfe"), "store_rejected", "no", 117, "INCORRECT_DATA")
names = st.builds(
    LetterName,
    st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True),
    st.integers(0, 5_000),
    st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True),
    st.integers(0, 2**63),
    st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    st.booleans(),
)


def test_a_letter_says_why_and_where_from_and_holds_every_byte() -> None:
    letter = read_letter(dead_letter_of(DEAD, "e1", DEAD_MS).body)

    assert (letter.topic, letter.partition, letter.offset, letter.epoch) == ("events", 0, 5, "e1")
    assert (letter.timestamp_ms, letter.dead_ms, letter.key, letter.value) == (ACCEPTED_MS, DEAD_MS, b"\xfe", b"\xff{")
    assert (letter.reason, letter.detail, letter.error_code, letter.error_name) == (
        "store_rejected", "no", 117, "INCORRECT_DATA",
    )  # fmt: skip
    assert letter.needs_classification is False
    assert letter.is_whole


def test_what_kafka_has_as_null_stays_null() -> None:
    letter = read_letter(dead_letter_of(DeadRecord(a_record(0, key=None, value=None), "r", "d"), "e1", 1).body)

    assert letter.key is letter.value is None


def test_the_copy_on_the_topic_is_the_same_json_under_the_original_key_at_its_own_time() -> None:
    letter = dead_letter_of(DEAD, "e1", DEAD_MS)

    assert (letter.copy.topic, letter.copy.key, letter.copy.timestamp_ms) == ("dead-letters", b"\xfe", DEAD_MS)
    assert letter.copy.value == letter.body
    assert json.loads(letter.copy.value)["object"] == letter.name


@pytest.mark.parametrize(("key", "kept_key"), [(b"u1", b"u1"), (b"k" * 900_000, b"")])
def test_a_record_too_large_for_the_topic_as_base64_is_whole_in_the_object_only(key: bytes, kept_key: bytes) -> None:
    letter = dead_letter_of(DeadRecord(a_record(0, key=key, value=b"x" * 900_000), "r", "d"), "e1", DEAD_MS)
    copied, kept = read_letter(letter.copy.value), read_letter(letter.body)

    assert len(letter.copy.value) + len(letter.copy.key) < 1_000_000
    assert (copied.is_whole, copied.value, letter.copy.key, copied.object) == (False, None, kept_key, letter.name)
    assert (kept.is_whole, kept.key, kept.value) == (True, key, b"x" * 900_000)


def test_a_long_error_text_is_cut() -> None:
    letter = dead_letter_of(DEAD._replace(detail="x" * 10_000), "e1", 1)

    assert len(read_letter(letter.body).detail) == 500


@given(names)
def test_a_name_is_read_as_it_was_built(name: LetterName) -> None:
    assert parse_letter_name(letter_name(name)) == name


@pytest.mark.parametrize("name", ["", "dead-letters/v1/x", "raw/v1/topic=events/partition=000/epoch=e/0-00000000.json"])
def test_another_objects_name_is_none(name: str) -> None:
    assert parse_letter_name(name) is None


def test_a_letter_of_before_there_were_codes_is_read() -> None:
    old = {"reason": "record_undecodable", "detail": "d", "topic": "events", "partition": 1, "offset": 2, "epoch": "e",
           "timestamp_ms": 3, "key_base64": None, "value_base64": "eA=="}  # fmt: skip

    assert read_letter(json.dumps(old).encode()).value == b"x"


def test_both_copies_are_written_and_again_adds_no_object() -> None:
    objects, log = FakeObjectStore(), FakeEventLog()
    for _ in range(2):
        DeadLetterWriter(objects, log).write([DEAD, DEAD._replace(record=a_record(6))], "e1", DEAD_MS)

    letters = [name for name in objects.objects if name.startswith(DEAD_LETTERS_PREFIX)]
    assert [parse_letter_name(name).offset for name in letters] == [5, 6]  # type: ignore[union-attr]
    assert set(objects.objects) == {*letters, *(hour_entry(name, DEAD_MS) for name in letters)}
    assert [read_letter(record.value).offset for record in log.records] == [5, 6, 5, 6]


def test_nothing_dead_touches_neither() -> None:
    log = FakeEventLog()
    log.is_down = True
    DeadLetterWriter(FakeObjectStore(), log).write([], "e1", DEAD_MS)

    assert log.records == []


@pytest.mark.parametrize("acknowledged", [0, 1])
def test_a_copy_that_is_not_acknowledged_fails_the_batch_after_the_object_is_safe(acknowledged: int) -> None:
    objects, log = FakeObjectStore(), FakeEventLog()
    log.refuse_after = acknowledged

    with pytest.raises(LogUnavailable, match=f"{2 - acknowledged} of 2"):
        DeadLetterWriter(objects, log).write([DEAD, DEAD._replace(record=a_record(6))], "e1", DEAD_MS)

    assert len(list(objects.list(DEAD_LETTERS_PREFIX))) == 2


def test_an_object_that_is_not_stored_fails_the_batch_before_the_topic_hears_of_it() -> None:
    class Broken(FakeObjectStore):
        def put_new(self, name: str, body: bytes) -> bool:
            raise OSError("S3 is down")

    log = FakeEventLog()

    with pytest.raises(OSError, match="S3 is down"):
        DeadLetterWriter(Broken(), log).write([DEAD], "e1", DEAD_MS)

    assert log.records == []
