"""What the load generator sends, and what must be in the tables afterwards."""

import json
import secrets
import zlib
from uuid import UUID

import pytest

from event_analytics.ingest import plan_items
from event_analytics.operations import plan_operations
from event_analytics.validate import Acceptance
from scripts.bench.workload import CHANGED_ERROR, DEFAULT_SHAPE, DELETED, SHAPES, UPDATED, Expectation, Workload

STARTED_MS = 1_795_000_000_000
ACCEPTANCE = Acceptance(STARTED_MS * 1_000, secrets.token_bytes)


def work(events_per_request: int = 50) -> Workload:
    return Workload(DEFAULT_SHAPE, events_per_request, STARTED_MS)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_accepted(name: str) -> None:
    items = plan_items(Workload(SHAPES[name], 20, STARTED_MS).events(3), ACCEPTANCE)

    assert [item.refused for item in items] == [None] * 20


def test_the_default_shape_has_about_the_bytes_of_its_name() -> None:
    items = plan_items(work(500).events(0), ACCEPTANCE)

    assert 350 < sum(len(item.record.value) for item in items if item.record) / 500 < 450


def test_ids_follow_from_batch_and_place_and_tell_their_time() -> None:
    first, last = (UUID(work().id_of(batch, 49)) for batch in (7, 70_000))

    assert json.loads(work().creates(7))["events"][49]["id"] == str(first)
    assert first.version == last.version == 7
    assert last.int >> 80 == STARTED_MS + 70_000 * 50 // 20


def test_changes_are_accepted_and_meet_the_events_chosen() -> None:
    for body, chosen in ((work().updates([3, 4]), UPDATED), (work().deletes([3, 4]), DELETED)):
        operations = json.loads(body)["operations"]
        items = plan_operations([json.dumps(operation).encode() for operation in operations], ACCEPTANCE)
        assert [item.refused for item in items] == [None] * len(operations)
        assert [operation["id"] for operation in operations] == [
            work().id_of(batch, index) for batch in (3, 4) for index in chosen.indexes(50)
        ]


def test_what_is_expected_is_what_was_sent_changed_and_not_deleted() -> None:
    events = [event for batch in range(4) for event in json.loads(work(10).creates(batch))["events"]]
    left = [event for index, event in enumerate(events) if index % 5 not in (1, 2)]
    checksum = 0
    for index, event in enumerate(events):
        if index % 5 not in (1, 2):
            error = CHANGED_ERROR if index % 5 in (0, 1) else event.get("error", "")
            text = "|".join((event["id"], event["user_id"], event["event_name"], error, event.get("output", "")))
            checksum += zlib.crc32(text.encode())

    assert work(10).expect(4, are_updated=True, are_deleted=True) == Expectation(len(left), checksum)
