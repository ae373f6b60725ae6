from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from local_runtime.kafka_trigger.batching import (
    BUFFER_BYTES_MAX,
    LANE_BYTES_MAX,
    Lane,
    Limits,
    Waiting,
    cut_batch,
    may_fetch,
    seconds_until_ready,
)
from local_runtime.kafka_trigger.event_shape import EventShape

SHAPE = EventShape.of("t", "b:9092", "aws:kafka", "arn")


def make_lane(partition: int, sizes: list[int], arrived: float = 0.0, life: int = 0) -> Lane:
    lane = Lane(partition, SHAPE.partition(partition))
    for offset, size in enumerate(sizes):
        text = json.dumps({"o": offset}).encode()
        lane.add(Waiting(offset, text[:-1] + b" " * max(0, size - len(text)) + b"}", arrived, life))
    return lane


def limits(batch_size: int = 100, window_ms: int = 1000, payload: int = 6_291_456) -> Limits:
    return Limits(batch_size, window_ms, SHAPE.frame_bytes, payload)


def test_window_starts_with_the_oldest_waiting_record() -> None:
    lanes = [make_lane(0, [10], arrived=5.0), make_lane(1, [10], arrived=5.4)]

    assert seconds_until_ready(lanes, limits(), now=5.25) == 0.75
    assert seconds_until_ready(lanes, limits(), now=6.5) == 0.0
    assert seconds_until_ready([], limits(), now=6.5) is None


def test_batch_size_and_payload_close_the_window_early() -> None:
    lanes = [make_lane(0, [100] * 3), make_lane(1, [100] * 3)]

    assert seconds_until_ready(lanes, limits(batch_size=6), now=0.0) == 0.0
    assert seconds_until_ready(lanes, limits(payload=600), now=0.0) == 0.0
    assert seconds_until_ready(lanes, limits(batch_size=7), now=0.0) == 1.0


def test_busy_and_stuck_lanes_are_left_alone() -> None:
    busy, stuck = make_lane(0, [10]), make_lane(1, [10])
    busy.is_busy, stuck.stuck_reason = True, "too large"

    assert seconds_until_ready([busy, stuck], limits(), now=9.0) is None
    assert cut_batch([busy, stuck], limits()) is None


def test_lane_that_waited_longest_goes_first_and_becomes_busy() -> None:
    young, old = make_lane(0, [10] * 5, arrived=2.0), make_lane(1, [10] * 3, arrived=1.0)
    batch = cut_batch([young, old], limits(batch_size=5))
    assert batch is not None

    assert [(part.partition, part.first_offset, part.last_offset) for part in batch.slices] == [(1, 0, 2), (0, 0, 1)]
    assert (young.is_busy, old.is_busy, len(young.waiting)) == (True, True, 3)


def test_slice_ends_where_the_log_started_again() -> None:
    lane = make_lane(0, [10, 10])
    lane.add(Waiting(0, b"{}", 0.0, 1))
    batch = cut_batch([lane], limits())
    assert batch is not None

    assert (batch.count, batch.slices[0].life, lane.waiting[0].life) == (2, 0, 1)


def test_record_that_fits_no_payload_makes_its_lane_stuck_and_names_itself() -> None:
    too_large, fine = make_lane(0, [5000], arrived=1.0), make_lane(1, [10], arrived=2.0)
    batch = cut_batch([too_large, fine], limits(payload=1000))
    assert batch is not None

    assert [part.partition for part in batch.slices] == [1]
    assert "partition 0 is stuck: the record at offset 0" in str(too_large.stuck_reason)
    assert len(too_large.waiting) == 1


def test_failed_batch_splits_into_one_batch_per_partition() -> None:
    batch = cut_batch([make_lane(0, [10, 10]), make_lane(1, [10])], limits())
    assert batch is not None

    assert [[part.partition for part in one.slices] for one in batch.split()] == [[0], [1]]


def test_full_lane_is_not_fetched_and_empty_one_always_is() -> None:
    assert may_fetch(make_lane(0, []), BUFFER_BYTES_MAX * 2)
    assert may_fetch(make_lane(0, [10]), 10)
    assert not may_fetch(make_lane(0, [LANE_BYTES_MAX]), LANE_BYTES_MAX)
    assert not may_fetch(make_lane(0, [10]), BUFFER_BYTES_MAX)


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(8, 400), max_size=12), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(300, 1500),
)
def test_batches_keep_order_lose_nothing_and_stay_within_limits(
    sizes: list[list[int]], batch_size: int, payload_max: int
) -> None:
    lanes = [make_lane(number, lane_sizes) for number, lane_sizes in enumerate(sizes)]
    seen: dict[int, list[int]] = {number: [] for number in range(len(sizes))}
    bounds = limits(batch_size, 0, payload_max)
    while any(lane.is_free() for lane in lanes):
        batch = cut_batch(lanes, bounds)
        if batch is None:
            continue
        payload = batch.payload(SHAPE)
        assert len(payload) <= payload_max
        assert batch.count <= batch_size
        for key, records in json.loads(payload)["records"].items():
            seen[int(key.removeprefix("t-"))] += [record["o"] for record in records]
        for part in batch.slices:
            lanes[part.partition].is_busy = False

    for number, lane in enumerate(lanes):
        delivered = len(sizes[number]) - len(lane.waiting)
        assert seen[number] == list(range(delivered))
        assert bool(lane.waiting) == (lane.stuck_reason is not None)
        assert lane.waiting_bytes == sum(len(record.encoded) + 1 for record in lane.waiting)
