"""An archived object gives back its records, to the byte."""

import gzip
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from event_analytics.archive import ArchiveUnreadable, decode_line, encode_line, plan_archive, read_object
from event_analytics.archive_keys import ArchiveKey, parse_key
from event_analytics.kafka_batch import KafkaRecord
from tests.builders import a_record

JSON_TEXT = st.recursive(
    st.sampled_from(["null", "1", '"a\\"b"', "-0.0", "1e400", " 7 ", "true"]),
    lambda inner: st.lists(inner).map(lambda parts: "[" + " , ".join(parts) + "]"),
    max_leaves=5,
)
VALUES = st.one_of(st.none(), st.binary(), st.text().map(str.encode), JSON_TEXT.map(str.encode))
KEYS = st.one_of(st.none(), st.binary(max_size=30), st.text(max_size=30).map(str.encode))
RECORDS = st.builds(
    KafkaRecord,
    topic=st.just("events"),
    partition=st.integers(0, 999),
    offset=st.integers(0, 2**62),
    timestamp_ms=st.integers(-1, 2**45),
    key=KEYS,
    value=VALUES,
)


@given(RECORDS)
@example(a_record(0, value=b"null"))
@example(a_record(0, value=b' {"a":1} '))
@example(a_record(0, key=b'","value":1}', value=b'{"a":"}"}'))
@example(a_record(0, value=b'{"value_base64":"eA=="}'))
@example(a_record(0, value=b"[" * 300 + b"]" * 300))
@example(a_record(0, value=b"\xe2\x80\xa8"))
def test_a_line_gives_back_the_record_it_was_made_of(record: KafkaRecord) -> None:
    line = encode_line(record)

    assert b"\n" not in line
    assert decode_line(line, record.topic, record.partition) == record


@given(st.lists(RECORDS, max_size=20, unique_by=lambda record: record.offset))
def test_objects_give_back_the_records_of_their_batch(records: Sequence[KafkaRecord]) -> None:
    batch = [structs.replace(record, partition=3, timestamp_ms=abs(record.timestamp_ms)) for record in records]

    found = [
        record for archived in plan_archive(batch, "e1") for record in read_object(key_of(archived.name), archived.body)
    ]

    assert found == sorted(batch, key=lambda record: record.offset)


def key_of(name: str) -> ArchiveKey:
    key = parse_key(name)
    assert key is not None
    return key


@pytest.fixture
def archived() -> tuple[ArchiveKey, bytes]:
    (planned,) = plan_archive([a_record(5), a_record(6), a_record(7)], "e1")
    return key_of(planned.name), planned.body


def test_an_object_from_which_a_record_was_erased_is_readable(archived: tuple[ArchiveKey, bytes]) -> None:
    key, body = archived
    lines = gzip.decompress(body).splitlines(keepends=True)

    assert [record.offset for record in read_object(key, gzip.compress(lines[0] + lines[2]))] == [5, 7]
    assert list(read_object(key, gzip.compress(b""))) == []


@pytest.mark.parametrize(
    "damage", [lambda body: body[:-9], lambda body: b"x" + body, lambda body: body[:20] + b"?" + body[21:]]
)
def test_a_damaged_body_is_told(archived: tuple[ArchiveKey, bytes], damage: object) -> None:
    key, body = archived

    with pytest.raises(ArchiveUnreadable):
        list(read_object(key, damage(body)))  # type: ignore[operator]


@pytest.mark.parametrize(
    "lines",
    [
        encode_line(a_record(4)) + b"\n",
        encode_line(a_record(8)) + b"\n",
        (encode_line(a_record(6)) + b"\n") * 2,
        encode_line(a_record(5)),
        b"\n",
        b'{"offset":5}\n',
        b'{"offset":5,"timestamp":1,"key":"\\q","value":1}\n',
        b'{"offset":5,"timestamp":1,"key":null,"value_base64":"eA"}\n',
    ],
    ids=["before", "after", "twice", "no line break", "empty", "no value", "bad escape", "bad base64"],
)
def test_a_line_that_was_never_written_is_told(archived: tuple[ArchiveKey, bytes], lines: bytes) -> None:
    with pytest.raises(ArchiveUnreadable):
        list(read_object(archived[0], gzip.compress(lines)))
