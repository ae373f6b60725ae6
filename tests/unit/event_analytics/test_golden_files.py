"""What an earlier version wrote is read for ever: Kafka's record values, the archive, the spool, dead letters.

`tests/golden/` holds what version 1 wrote, under the names that it gave. Never edit a file there: a new form gets files
of its own beside these, and both are read.
"""

import gzip
from pathlib import Path
from uuid import UUID

import pytest

from event_analytics.archive import encode_line, plan_archive, read_object
from event_analytics.archive_keys import parse_key
from event_analytics.change import decode_stored_change, is_change
from event_analytics.dead_letters import (
    REASON_UNDECODABLE,
    DeadRecord,
    dead_letter_of,
    letter_name,
    parse_letter_name,
    read_letter,
)
from event_analytics.event import decode_stored_event
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.load import plan_load
from event_analytics.redrive import plan_redrive
from event_analytics.spool import accepted_us_of, decode_spool, encode_spool
from local_runtime.settings import REPOSITORY
from tests.builders import ACCEPTED_MS, ACCEPTED_US, UUID4, UUID7, a_record

GOLDEN = REPOSITORY / "tests/golden"
PLAIN, FULL, UPDATE, DELETE = (GOLDEN / "record_values.jsonl").read_bytes().split(b"\n")[:4]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ARCHIVED = [
    KafkaRecord("events", 3, 17, ACCEPTED_MS, b"u1", PLAIN),
    KafkaRecord("events", 3, 18, ACCEPTED_MS + 1, "ü-1".encode(), FULL),
    KafkaRecord("events", 3, 19, ACCEPTED_MS + 2, None, b"\xff\x00"),
    KafkaRecord("events", 3, 20, ACCEPTED_MS + 3, b"\xff", None),
]


def the_file_under(prefix: str) -> tuple[str, bytes]:
    """Name, as S3 has it, and body."""
    [file] = [path for path in (GOLDEN / prefix).rglob("*") if path.is_file()]
    return str(Path(file).relative_to(GOLDEN)), file.read_bytes()


def test_record_values_of_version_1_are_events_and_changes() -> None:
    plain, full = decode_stored_event(PLAIN), decode_stored_event(FULL)
    update, delete = decode_stored_change(UPDATE), decode_stored_change(DELETE)

    assert (plain.id, plain.user_id, plain.conversation_id, plain.v) == (UUID(UUID7), "u1", "", 1)
    assert (full.id, full.user_id, full.conversation_id) == (UUID(UUID4), "ü-1", "c 1")
    assert (full.error, full.latency_ms, full.input_embeddings) == ("time-out", 812.5, "AAAAPwAAoL8=")
    assert (update.version, update.fields) == (ACCEPTED_US + 1, ["error", "latency_ms", "properties"])
    assert (update.patch, update.v) == ({"stars": None, "x": 1}, 1)
    assert (delete.version, delete.is_deleted) == (ACCEPTED_US + 2, 1)
    assert list(map(is_change, (PLAIN, FULL, UPDATE, DELETE))) == [False, False, True, True]


def test_record_values_of_version_1_are_loaded() -> None:
    plan = plan_load(a_record(offset, value=value) for offset, value in enumerate((PLAIN, FULL, UPDATE, DELETE)))

    assert [row.line for row in plan.event_rows] == [PLAIN, FULL]
    assert [row.line for row in plan.change_rows] == [UPDATE, DELETE]
    assert (len(plan.embedding_rows), plan.dead) == (1, [])


@pytest.mark.parametrize("value", [PLAIN, UPDATE], ids=["event", "change"])
def test_a_value_of_a_later_version_is_kept_as_a_letter_and_never_misread(value: bytes) -> None:
    later = value[:-1] + b',"v":2}'

    plan = plan_load([a_record(0, value=later)])

    assert [(one.reason, one.record.value) for one in plan.dead] == [(REASON_UNDECODABLE, later)]
    assert (plan.event_rows, plan.change_rows) == ([], [])


def test_a_value_that_says_version_1_is_read_as_one_that_says_nothing() -> None:
    plan = plan_load([a_record(0, value=PLAIN[:-1] + b',"v":1}')])

    assert (len(plan.event_rows), plan.dead) == (1, [])


def test_an_archived_object_of_version_1_is_read_and_written_the_same_today() -> None:
    name, body = the_file_under("raw/v1")
    key = parse_key(name)
    assert key is not None
    [today] = plan_archive(ARCHIVED, "1")

    assert list(read_object(key, body)) == ARCHIVED
    assert (today.name, gzip.decompress(today.body)) == (name, gzip.decompress(body))
    assert gzip.decompress(body) == b"".join(encode_line(record) + b"\n" for record in ARCHIVED)


def test_a_spooled_object_of_version_1_is_read_and_written_the_same_today() -> None:
    name, body = the_file_under("spool/v1")
    records = decode_spool(body)

    assert accepted_us_of(name) == ACCEPTED_US
    assert [(each.topic, each.key, each.value, each.timestamp_ms, each.traceparent) for each in records] == [
        ("events", b"u1", PLAIN, ACCEPTED_MS, None),
        ("event-changes", UUID4.encode(), UPDATE, ACCEPTED_MS, None),
        ("events", b"\xff", b"\xfe", ACCEPTED_MS, TRACEPARENT),
    ]
    assert gzip.decompress(encode_spool(records)) == gzip.decompress(body)


def test_a_dead_letter_of_version_1_is_read_and_can_go_again() -> None:
    name, body = the_file_under("dead-letters/v1")
    parsed, letter = parse_letter_name(name), read_letter(body)
    assert parsed is not None
    dead = DeadRecord(ARCHIVED[1], "store_rejected", "cannot parse", 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED")

    assert letter_name(parsed) == letter.object == name
    assert (letter.reason, letter.error_code, letter.key, letter.value) == ("store_rejected", 27, "ü-1".encode(), FULL)
    assert plan_redrive(name, letter).record.value == FULL
    assert dead_letter_of(dead, "1", ACCEPTED_MS + 5).body == body
