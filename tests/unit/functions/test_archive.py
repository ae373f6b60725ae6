"""Kafka batch -> S3, with a fake bucket."""

import pytest

from event_analytics.archive import read_object
from event_analytics.archive_keys import parse_key
from event_analytics.observability import InvocationLine
from event_analytics.replay import Pass
from functions.archive.app import Deps, handle
from tests.builders import a_lambda_batch, a_record
from tests.fakes import FakeObjectStore


@pytest.fixture
def objects() -> FakeObjectStore:
    return FakeObjectStore()


def test_every_record_is_written_and_counted(objects: FakeObjectStore) -> None:
    line = InvocationLine()
    handle(a_lambda_batch([a_record(0), a_record(1), a_record(0, partition=1)]), Deps(objects, "e1"), line)

    assert len(objects.objects) == 2
    assert (line.counts["archived_records"], line.counts["archived_objects"]) == (3, 2)


@pytest.mark.parametrize(
    ("timestamp_ms", "hour"),
    [
        (2**62, "date=9999-12-31/hour=23"),
        (253_402_300_800_000, "date=9999-12-31/hour=23"),
        (-1, "date=1970-01-01/hour=00"),
        (-(2**62), "date=1970-01-01/hour=00"),
    ],
)
def test_a_time_that_no_name_can_say_is_kept_in_the_line_of_the_nearest_hour(
    objects: FakeObjectStore, timestamp_ms: int, hour: str
) -> None:
    records = [a_record(0), a_record(1, timestamp_ms=timestamp_ms), a_record(2)]

    handle(a_lambda_batch(records), Deps(objects, "e1"), InvocationLine())

    (odd,) = [name for name in objects.objects if hour in name]
    key = parse_key(odd)
    assert key is not None
    assert list(read_object(key, objects.objects[odd])) == [records[1]]
    assert Pass("events", 0, None).has(timestamp_ms)
    assert len(objects.objects) == 3


def test_a_redelivery_writes_nothing_new(objects: FakeObjectStore) -> None:
    lines = [InvocationLine(), InvocationLine()]
    for line in lines:
        handle(a_lambda_batch([a_record(0)]), Deps(objects, "e1"), line)

    assert len(objects.objects) == 1
    assert (lines[1].counts["archived_objects"], lines[1].counts["repeated_objects"]) == (0, 1)
