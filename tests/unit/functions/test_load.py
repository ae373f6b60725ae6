"""Kafka batch -> ClickHouse, with fakes."""

import json

import pytest

from event_analytics.errors import StoreUnavailable
from event_analytics.observability import InvocationLine
from functions.load.app import Deps, handle
from tests.builders import ACCEPTED_US, a_lambda_batch, a_record
from tests.fakes import FakeEventStore, FakeObjectStore


@pytest.fixture
def deps() -> Deps:
    return Deps(FakeEventStore(), FakeObjectStore(), epoch="e1", now_us=lambda: ACCEPTED_US + 250_000)


def test_every_record_becomes_a_row_or_a_dead_letter(deps: Deps) -> None:
    line = InvocationLine()
    handle(a_lambda_batch([a_record(0), a_record(1, value=b"{"), a_record(2)]), deps, line)

    assert isinstance(deps.store, FakeEventStore)
    assert isinstance(deps.dead_letters, FakeObjectStore)
    assert [row["output"] for row in deps.store.lines("events")] == ["text 0", "text 2"]
    assert [json.loads(body)["offset"] for body in deps.dead_letters.objects.values()] == [1]
    assert line.counts == {"records": 3, "loaded_events": 2, "dead_letters": 1}
    assert line.fields["freshness_ms"] == 250


def test_the_same_batch_again_changes_nothing(deps: Deps) -> None:
    for _ in range(2):
        handle(a_lambda_batch([a_record(0), a_record(1, value=b"{")]), deps, InvocationLine())

    assert isinstance(deps.store, FakeEventStore)
    assert isinstance(deps.dead_letters, FakeObjectStore)
    assert (len(deps.store.lines("events")), len(deps.dead_letters.objects)) == (1, 1)


def test_a_store_that_is_down_fails_the_batch(deps: Deps) -> None:
    assert isinstance(deps.store, FakeEventStore)
    deps.store.is_down = True

    with pytest.raises(StoreUnavailable):
        handle(a_lambda_batch([a_record(0)]), deps, InvocationLine())
