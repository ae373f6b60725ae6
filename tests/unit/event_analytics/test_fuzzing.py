"""Bytes from outside that nobody of ours wrote: each is read, or refused by name. Nothing else comes out."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from event_analytics.access import KeyRing, identify
from event_analytics.archive import ArchiveUnreadable, decode_line, encode_line, plan_archive, read_object
from event_analytics.archive_keys import ArchiveKey, key_of, parse_key
from event_analytics.dead_letters import letter_name, parse_letter_name
from event_analytics.decode import media_type_of, read_body, split_events
from event_analytics.errors import Refused
from event_analytics.hour_marks import hours_of
from event_analytics.ingest import Item, plan_items, read_idempotency_key
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.letter_admin import name_of_letter, read_listing
from event_analytics.load import plan_load
from event_analytics.operations import plan_operations, plan_update
from event_analytics.questions.cursors import Cursor, read_cursor
from event_analytics.spool import SpoolUnreadable, accepted_us_of, decode_spool
from tests.builders import UUID7, a_record, an_acceptance, an_event

FUZZED = settings(max_examples=150)
FINGERPRINT = b"12345678"
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*an_event(), "timestamp", "properties", "input_embeddings", "latency_ms", "error", "ts", "x"])
EVENTS = st.dictionaries(FIELDS, JSON, max_size=6).map(lambda fields: {**an_event(), **fields})
NEARLY_JSON = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    EVENTS.map(lambda event: json.dumps(event).encode()),
    st.tuples(EVENTS.map(lambda event: json.dumps(event).encode()), st.integers(0, 400), st.binary(max_size=4)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    ),
)
NAME_PARTS = st.text(alphabet="abcABC09._-", min_size=1, max_size=12)


def assert_items_are_told(items: list[Item]) -> None:
    for item in items:
        assert (item.record is None) != (item.refused is None)
        assert item.refused is None or item.refused.message


@FUZZED
@given(st.text(max_size=200), st.booleans(), st.sampled_from([None, "", "gzip", "br", "identity", "\udcff"]))
@example("\x1f\x8b", False, None)
@example("\ud800", False, "gzip")
@example("=", True, None)
def test_any_body_is_bytes_or_refused(body: str, is_base64: bool, encoding: str | None) -> None:
    try:
        read = read_body(body, is_base64=is_base64, content_encoding=encoding)
    except Refused as refused:
        assert refused.status in {400, 413, 415}
    else:
        assert read.strip()


@given(st.none() | st.text(max_size=100))
def test_any_content_type_is_one_of_two_or_refused(content_type: str | None) -> None:
    try:
        assert media_type_of(content_type) in {"application/json", "application/x-ndjson"}
    except Refused as refused:
        assert refused.status == 415


@FUZZED
@given(NEARLY_JSON, st.sampled_from(["application/json", "application/x-ndjson"]))
@example(b'{"events": [{"a": ' * 2_000, "application/json")
@example(b'{"events": [1e999, "\\ud800", {"user_id": "\\u0000"}]}', "application/json")
def test_any_request_is_cut_into_items_or_refused(body: bytes, media_type: str) -> None:
    wrapped = body if media_type.endswith("ndjson") else b'{"events": [' + body + b"]}"
    for given_body in (body, wrapped):
        try:
            raw = split_events(given_body, media_type)
        except Refused as refused:
            assert refused.status in {400, 413}
        else:
            assert_items_are_told(plan_items(raw, an_acceptance()))


@FUZZED
@given(NEARLY_JSON)
def test_any_operation_is_planned_or_refused(body: bytes) -> None:
    assert_items_are_told(plan_operations([body], an_acceptance()))
    try:
        assert_items_are_told([plan_update(UUID7, body, an_acceptance())])
    except Refused as refused:
        assert refused.status in {400, 413}


@FUZZED
@given(st.lists(st.none() | NEARLY_JSON, min_size=1, max_size=4))
def test_any_record_is_a_row_or_a_dead_letter(values: list[bytes | None]) -> None:
    plan = plan_load(a_record(offset, value=value) for offset, value in enumerate(values))

    assert len(plan.event_rows) + len(plan.change_rows) + len(plan.dead) == len(values)


INSTANTS = st.datetimes(timezones=st.none() | st.timezones()).map(datetime.isoformat) | st.just("1900-01-01T00:00:00Z")


@FUZZED
@given(INSTANTS, st.integers(), st.integers(-(2**63), 2**63 - 1))
@example("0001-01-01T00:00:00", 1, 2**62)
@example("2106-02-07T06:28:16Z", 2**52, -1)
def test_any_time_is_loaded_and_archived_or_a_dead_letter(instant: str, accepted_us: int, timestamp_ms: int) -> None:
    value = json.dumps({**an_event(), "timestamp": instant, "accepted_us": accepted_us}).encode()
    record = a_record(value=value, timestamp_ms=timestamp_ms)
    plan = plan_load([record])

    assert len(plan.event_rows) + len(plan.dead) == 1
    assert all(0 <= hour < 2**32 for hour in hours_of(row.event for row in plan.event_rows))
    (archived,) = plan_archive([record], "e1")
    key = parse_key(archived.name)
    assert key is not None
    assert list(read_object(key, archived.body)) == [record]


@FUZZED
@given(st.text(max_size=120))
@example("\ud800")
@example("=" * 7)
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_cursor(text, FINGERPRINT)
    assert refused.value.reason == "cursor_invalid"
    try:
        read_listing({"cursor": text})
    except Refused as also:
        assert also.reason == "cursor_invalid"


@FUZZED
@given(st.none() | st.integers(), st.none() | st.integers(), st.integers() | st.floats(), st.binary(max_size=20))
def test_a_cursor_that_somebody_made_is_read_within_bounds_or_refused(
    start: int | None, end: int | None, time: float, identifier: bytes
) -> None:
    try:
        packed = msgspec.msgpack.encode([FINGERPRINT, start, end, time, identifier])
    except OverflowError:
        return
    try:
        cursor = read_cursor(base64.urlsafe_b64encode(packed).decode(), FINGERPRINT)
    except Refused as refused:
        assert refused.reason == "cursor_invalid"
    else:
        assert isinstance(cursor, Cursor)
        cursor.window()


@FUZZED
@given(
    st.builds(
        ArchiveKey,
        NAME_PARTS,
        st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - made aware right after
            lambda moment: moment.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
        ),
        st.integers(0, 10**6),
        NAME_PARTS,
        st.integers(0, 2**63),
        st.integers(0, 2**63),
        st.text(alphabet="0123456789abcdef", min_size=8, max_size=8),
    )
)
def test_an_archive_key_reads_back(key: ArchiveKey) -> None:
    assert parse_key(key_of(key)) == key


@FUZZED
@given(
    st.one_of(
        st.text(max_size=120),
        st.from_regex(
            r"\Araw/v1/topic=\w{1,4}/date=\d{4}-\d\d-\d\d/hour=\d\d/partition=\d{1,4}/epoch=\w{1,3}/\d{1,4}-\d{1,4}-"
            r"[0-9a-f]{8}\.jsonl\.gz\Z"
        ),
    )
)
@example("raw/v1/topic=events/date=2026-02-30/hour=00/partition=000/epoch=1/0-1-00112233.jsonl.gz")
@example("raw/v1/topic=events/date=2026-02-03/hour=24/partition=000/epoch=1/0-1-00112233.jsonl.gz")
@example("raw/v1/topic=events/date=٢٠٢٦-02-03/hour=00/partition=000/epoch=1/0-1-00112233.jsonl.gz")
@example("raw/v1/topic=events/date=2026-02-03/hour=00/partition=000/epoch=1/0-1-00112233.jsonl.gz\n")
def test_any_name_is_an_archive_key_or_none(name: str) -> None:
    key = parse_key(name)

    assert key is None or parse_key(key_of(key)) == key


@FUZZED
@given(st.text(max_size=120))
def test_any_name_is_a_letter_or_a_spool_object_or_neither(name: str) -> None:
    letter = parse_letter_name(name)

    assert letter is None or parse_letter_name(letter_name(letter)) == letter
    assert accepted_us_of(name) is None or name.startswith("spool/v1/")
    try:
        assert parse_letter_name(name_of_letter(name))
    except Refused as refused:
        assert refused.status == 404


@FUZZED
@given(st.binary(max_size=200), st.none() | st.binary(max_size=20))
@example(b"null", b"")
@example(b"1\n2", None)
def test_an_archived_line_reads_back_to_the_byte(value: bytes, key: bytes | None) -> None:
    record = KafkaRecord("events", 3, 17, 1_790_000_000_000, key, value)

    assert decode_line(encode_line(record), "events", 3) == record


@FUZZED
@given(st.binary(max_size=300), st.booleans())
def test_any_object_is_read_or_unreadable(body: bytes, is_packed: bool) -> None:
    packed = gzip.compress(body) if is_packed else body
    key = ArchiveKey("events", datetime(2026, 1, 1, tzinfo=UTC), 0, "1", 0, 9, "00112233")
    try:
        assert all(record.offset <= 9 for record in read_object(key, packed))
    except ArchiveUnreadable as unreadable:
        assert "raw/v1" in str(unreadable) or "line" in str(unreadable)
    try:
        assert decode_spool(packed)
    except SpoolUnreadable as unreadable:
        assert str(unreadable)


@FUZZED
@given(st.text(max_size=100))
@example("Bearer tally_a_\ud800")
def test_any_header_is_refused_in_one_of_two_words(text: str) -> None:
    for header in (text, f"Bearer {text}", f"Bearer tally_{text}"):
        with pytest.raises(Refused) as refused:
            identify(header, KeyRing("pepper"), datetime(2026, 1, 1, tzinfo=UTC))
        assert refused.value.reason in {"key_missing", "key_invalid"}


@given(st.none() | st.text(max_size=300))
def test_any_idempotency_key_is_taken_or_refused(text: str | None) -> None:
    try:
        assert read_idempotency_key(text) == text
    except Refused as refused:
        assert refused.reason == "idempotency_key_invalid"
