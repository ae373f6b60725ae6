"""Kafka batch -> S3, with a fake bucket."""

import pytest

from event_analytics.observability import InvocationLine
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


def test_a_redelivery_writes_nothing_new(objects: FakeObjectStore) -> None:
    lines = [InvocationLine(), InvocationLine()]
    for line in lines:
        handle(a_lambda_batch([a_record(0)]), Deps(objects, "e1"), line)

    assert len(objects.objects) == 1
    assert (lines[1].counts["archived_objects"], lines[1].counts["repeated_objects"]) == (0, 1)
