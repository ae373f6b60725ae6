"""A Kafka batch -> archived objects, and their names."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from event_analytics.archive import plan_archive
from event_analytics.archive_keys import ArchiveKey, key_of, parse_key
from event_analytics.kafka_batch import KafkaRecord
from tests.builders import ACCEPTED_MS, a_record

HOUR_MS = 3_600_000
HOURS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001 - made UTC right here
    lambda naive: naive.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
)
NAMES = st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True)


@given(
    st.builds(
        ArchiveKey,
        topic=NAMES,
        hour=HOURS,
        partition=st.integers(0, 5_000),
        epoch=NAMES,
        first_offset=st.integers(0, 2**63),
        last_offset=st.integers(0, 2**63),
        digest=st.binary(min_size=4, max_size=4).map(bytes.hex),
    )
)
def test_a_name_gives_back_what_it_was_made_of(key: ArchiveKey) -> None:
    assert parse_key(key_of(key)) == key


def test_other_objects_are_no_archived_batches() -> None:
    assert parse_key("reports/2026.csv") is None


def lines_of(body: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def test_one_object_holds_one_run_of_offsets() -> None:
    (archived,) = plan_archive([a_record(3), a_record(4)], "e1")
    key = parse_key(archived.name)

    assert key is not None
    assert (key.topic, key.partition, key.epoch, key.first_offset, key.last_offset) == ("events", 0, "e1", 3, 4)
    assert key.hour == datetime.fromtimestamp(ACCEPTED_MS / 1_000, tz=UTC).replace(minute=0, second=0)
    assert archived.records == 2


def test_a_line_keeps_offset_time_key_and_value() -> None:
    record = a_record(3)
    (archived,) = plan_archive([record], "e1")

    assert lines_of(archived.body) == [
        {"offset": 3, "timestamp": ACCEPTED_MS, "key": "u1", "value": json.loads(record.value or b"")}
    ]


def test_bytes_that_are_no_json_line_are_kept_all_the_same() -> None:
    records = [a_record(0, key=b"\xff", value=b"\xff"), a_record(1, key=None, value=None), a_record(2, value=b"{\n}")]
    (archived,) = plan_archive(records, "e1")

    first, second, third = lines_of(archived.body)
    assert (first["key_base64"], first["value_base64"]) == ("/w==", "/w==")
    assert (second["key"], second["value"]) == (None, None)
    assert third["value_base64"] == "ewp9"


def test_cuts_where_an_offset_is_missing_and_where_the_hour_changes() -> None:
    records = [a_record(0), a_record(1), a_record(3), a_record(4, timestamp_ms=ACCEPTED_MS + HOUR_MS)]

    keys = [parse_key(archived.name) for archived in plan_archive(records, "e1")]

    assert [(key.first_offset, key.last_offset) for key in keys if key] == [(0, 1), (3, 3), (4, 4)]
    assert [key.hour - keys[0].hour for key in keys if key and keys[0]] == [
        timedelta(0),
        timedelta(0),
        timedelta(hours=1),
    ]


def test_equal_records_make_equal_objects_and_other_lives_of_a_topic_do_not() -> None:
    (first,), (again,), (later,) = (tuple(plan_archive([a_record(0)], epoch)) for epoch in ("e1", "e1", "e2"))

    assert first == again
    assert first.name != later.name


BATCHES = st.lists(
    st.builds(
        lambda partition, offset, hours: a_record(
            offset, partition=partition, timestamp_ms=ACCEPTED_MS + hours * HOUR_MS
        ),
        st.integers(0, 2),
        st.integers(0, 12),
        st.integers(0, 1),
    ),
    unique_by=lambda record: (record.partition, record.offset),
)


@given(BATCHES)
def test_every_record_is_archived_once_and_every_name_is_true(records: Sequence[KafkaRecord]) -> None:
    seen = []
    for archived in plan_archive(records, "e1"):
        key = parse_key(archived.name)
        assert key is not None
        offsets = [line["offset"] for line in lines_of(archived.body)]
        assert offsets == list(range(key.first_offset, key.last_offset + 1))
        seen += [(key.partition, offset) for offset in offsets]

    assert sorted(seen) == sorted((record.partition, record.offset) for record in records)
