from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from local_runtime.kafka_trigger.batch import Batch
from local_runtime.kafka_trigger.batching import (
    BUFFER_BYTES_MAX,
    LANE_BYTES_MAX,
    Chunk,
    Lane,
    Limits,
    cut_batch,
    has_room,
    seconds_until_ready,
    take_oversize,
)
from local_runtime.kafka_trigger.event_shape import EventShape

SHAPE = EventShape.of("t", "b:9092", "aws:kafka", "arn")


def make_chunk(sizes: list[int], first: int = 0, arrived: float = 0.0, life: int = 0) -> Chunk:
    texts = [json.dumps({"o": first + index}).encode() for index in range(len(sizes))]
    records = [text[:-1] + b" " * max(0, size - len(text)) + b"}" for text, size in zip(texts, sizes, strict=True)]
    offsets = list(range(first, first + len(sizes)))
    return Chunk(offsets, [0] * len(sizes), records, end_offset=first + len(sizes), arrived=arrived, life=life)


def make_lane(partition: int, sizes: list[int], arrived: float = 0.0) -> Lane:
    lane = Lane(partition, SHAPE.partition(partition))
    lane.add(make_chunk(sizes, arrived=arrived))
    return lane


def limits(batch_size: int = 100, window_ms: int = 1000, payload: int = 6_291_456) -> Limits:
    return Limits(batch_size, window_ms, SHAPE.frame_bytes, payload)


def cut(lanes: list[Lane], bounds: Limits | None = None) -> Batch:
    batch = cut_batch(lanes, bounds or limits())
    assert batch is not None
    return batch


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
    batch = cut([young, old], limits(batch_size=5))

    assert [(part.partition, part.offsets, part.end_offset) for part in batch.slices] == [
        (1, [0, 1, 2], 3),
        (0, [0, 1], 2),
    ]
    assert (young.is_busy, old.is_busy, young.waiting) == (True, True, 3)


def test_slice_goes_over_chunks_and_ends_where_the_log_started_again() -> None:
    lane = make_lane(0, [10, 10])
    lane.add(make_chunk([10], first=2))
    lane.add(make_chunk([10], first=0, life=1))
    batch = cut([lane])

    assert (batch.slices[0].offsets, batch.slices[0].life, lane.waiting) == ([0, 1, 2], 0, 1)


def test_filtered_records_move_the_end_of_the_slice_before_them() -> None:
    lane = make_lane(0, [10, 10])
    lane.add(Chunk([], [], [], end_offset=50, arrived=0.0))

    assert cut([lane]).slices[0].end_offset == 50
    assert lane.waiting == 0


def test_idle_lane_passes_what_was_filtered_and_a_busy_one_does_not() -> None:
    lane = Lane(0, SHAPE.partition(0))
    lane.add(Chunk([], [], [], end_offset=7, arrived=0.0, life=2))
    lane.is_busy = True
    assert lane.pass_filtered() is None
    lane.is_busy = False

    assert lane.pass_filtered() == (2, 7)
    assert lane.pass_filtered() is None


def test_record_that_fits_no_payload_makes_its_lane_stuck_and_names_itself() -> None:
    too_large, fine = make_lane(0, [5000], arrived=1.0), make_lane(1, [10], arrived=2.0)
    batch = cut([too_large, fine], limits(payload=1000))

    assert [part.partition for part in batch.slices] == [1]
    assert "partition 0 is stuck: the record at offset 0" in str(too_large.stuck_reason)
    assert too_large.waiting == 1


def test_record_that_fits_no_payload_can_be_taken_out_alone() -> None:
    lane = make_lane(0, [5000, 10])
    assert cut_batch([lane], limits(payload=1000)) is None
    batch = take_oversize(lane)

    assert (batch.slices[0].offsets, batch.slices[0].end_offset) == ([0], 1)
    assert (lane.is_busy, lane.stuck_reason, lane.waiting) == (True, None, 1)


def test_records_put_back_come_first_again() -> None:
    lane = make_lane(0, [10] * 6)
    batch = cut([lane], limits(batch_size=4))
    lane.put_back(batch.slices[0], arrived=3.0)

    assert not lane.is_busy
    assert (lane.waiting, lane.opened()) == (6, 3.0)
    assert cut([lane]).slices[0].offsets == list(range(6))


def test_full_lane_has_no_room_and_an_empty_one_always_has() -> None:
    full = make_lane(0, [LANE_BYTES_MAX])

    assert has_room(Lane(0, SHAPE.partition(0)), BUFFER_BYTES_MAX * 2)
    assert has_room(make_lane(0, [10]), 10)
    assert not has_room(full, LANE_BYTES_MAX)
    assert not has_room(make_lane(0, [10]), BUFFER_BYTES_MAX)


chunks = st.lists(st.lists(st.integers(8, 400), max_size=6), max_size=4)


@settings(max_examples=200)
@given(st.lists(chunks, min_size=1, max_size=4), st.integers(1, 8), st.integers(300, 1500))
def test_batches_keep_order_lose_nothing_and_stay_within_limits(
    sizes: list[list[list[int]]], batch_size: int, payload_max: int
) -> None:
    lanes = [Lane(number, SHAPE.partition(number)) for number in range(len(sizes))]
    totals = [sum(map(len, lane_sizes)) for lane_sizes in sizes]
    for lane, lane_sizes in zip(lanes, sizes, strict=True):
        first = 0
        for part in lane_sizes:
            lane.add(make_chunk(part, first))
            first += len(part)
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
        assert seen[number] == list(range(totals[number] - lane.waiting))
        assert bool(lane.waiting) == (lane.stuck_reason is not None)
        assert lane.waiting_bytes == sum(chunk.waiting_bytes for chunk in lane.chunks)
