"""What cannot be unpacked stands still in its partition, is named, and loses nothing."""

from __future__ import annotations

import gzip

import pytest

from local_runtime.kafka_trigger.batching import Lane
from local_runtime.kafka_trigger.intake import Inbox
from local_runtime.kafka_trigger.positions import Fetched
from local_runtime.kafka_trigger.record_batch import RawBatch
from tests.unit.kafka_trigger.trigger_batches import SHAPE

GZIP, UNKNOWN = 1, 7
# One record: length 8, no attributes, timestamp and offset 0, key "k", value "v", no headers.
RECORD = b"\x10\x00\x00\x00\x02k\x02v\x00"


def a_batch(offset: int, codec: int = 0, payload: bytes = RECORD) -> RawBatch:
    return RawBatch(offset, offset, payload, offset, codec, records_count=1)


def lanes(*numbers: int) -> dict[int, Lane]:
    return {number: Lane(number, SHAPE.partition(number)) for number in numbers}


def waiting(lane: Lane) -> list[int]:
    return [offset for chunk in lane.chunks for offset in chunk.offsets]


@pytest.mark.parametrize(
    "bad", [a_batch(2, UNKNOWN), a_batch(2, GZIP, b"no gzip"), a_batch(2, GZIP, gzip.compress(RECORD)[:-4])]
)
def test_batches_behind_one_that_cannot_be_unpacked_wait_and_other_partitions_go_on(bad: RawBatch) -> None:
    inbox, filled = Inbox(None), lanes(0, 1)
    inbox.put([Fetched(0, 0, [a_batch(0), a_batch(1), bad, a_batch(3)], None)], arrived=1.0)
    inbox.put([Fetched(1, 0, [a_batch(0)], None)], arrived=1.0)

    unpacked = [inbox.unpack_into(filled).records for _ in range(3)]

    assert unpacked == [3, 0, 0]
    assert (waiting(filled[0]), waiting(filled[1])) == ([0, 1], [0])
    assert filled[0].chunks[-1].end_offset == 2
    assert inbox.holds(0)
    assert "partition 0, offset 2" in inbox.unreadable[0]


def test_after_a_new_beginning_nothing_stands_still() -> None:
    inbox, filled = Inbox(None), lanes(0)
    inbox.put([Fetched(0, 0, [a_batch(0, UNKNOWN)], None)], arrived=1.0)
    inbox.unpack_into(filled)

    inbox.clear()
    inbox.put([Fetched(0, 0, [a_batch(0)], None)], arrived=2.0)
    inbox.unpack_into(filled)

    assert inbox.unreadable == {}
    assert waiting(filled[0]) == [0]
