"""Gap healing and restarted logs, with a consumer that misbehaves on cue as the embedded broker does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndTimestamp

from local_runtime.kafka_trigger.poller import GAP_PATIENCE_SECONDS, QUIET_SECONDS, STARVED_SECONDS, GapHealingPoller
from local_runtime.kafka_trigger.positions import Done, Start
from local_runtime.kafka_trigger.record_batch import RawBatch

PART = TopicPartition("t", 0)


def make_batch(offset: int) -> RawBatch:
    """A batch of one record."""
    return RawBatch(offset, offset, b"", offset)


@dataclass
class ScriptedConsumer:
    """A log of offsets; those in `hidden` are not visible yet, for so many fetches."""

    log: list[int]
    hidden: dict[int, int] = field(default_factory=dict)
    position: int = 0
    end: int | None = None
    offsets: dict[TopicPartition, int] = field(default_factory=dict)

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def assign(self, _partitions: Any) -> None:
        pass

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self.position = offset

    def committed(self, partition: TopicPartition, timeout_ms: int) -> int | None:
        return self.offsets.get(partition)

    def beginning_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def offsets_for_times(self, asked: dict[TopicPartition, int], timeout_ms: int) -> dict[TopicPartition, Any]:
        """The record at offset N has the timestamp N."""
        found = {part: next((offset for offset in self.log if offset >= at), None) for part, at in asked.items()}
        return {part: None if at is None else OffsetAndTimestamp(at, at, -1) for part, at in found.items()}

    def commit(self, offsets: dict[TopicPartition, Any], timeout_ms: int) -> None:
        self.offsets |= {part: entry.offset for part, entry in offsets.items()}

    def highwater(self, _partition: TopicPartition) -> int | None:
        return (self.log[-1] + 1 if self.log else 0) if self.end is None else self.end

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[RawBatch]]:
        visible = [offset for offset in self.log if offset >= self.position and not self.hidden.get(offset)]
        self.hidden = {offset: left - 1 for offset, left in self.hidden.items() if left > 1}
        if not visible:
            return {}
        self.position = visible[-1] + 1
        return {PART: [make_batch(offset) for offset in visible]}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def open_poller(consumer: ScriptedConsumer, clock: Clock | None = None, **options: Any) -> GapHealingPoller:
    poller = GapHealingPoller(consumer, "t", lambda parts: dict.fromkeys(parts, 0), clock=clock or Clock(), **options)
    assert poller.assign_partitions()
    return poller


def read(poller: GapHealingPoller, polls: int) -> list[int]:
    return [batch.first_offset for _ in range(polls) for part in poller.poll(0.01) for batch in part.batches]


def test_seeks_back_until_the_batch_that_came_late_is_there() -> None:
    poller = open_poller(ScriptedConsumer(list(range(10)), hidden={3: 3, 4: 3}))

    assert read(poller, 10) == list(range(10))
    assert (poller.gaps_healed, poller.offsets_skipped) == (3, 0)


def test_hole_that_is_never_filled_is_passed_after_the_patience_and_counted() -> None:
    clock = Clock()
    poller = open_poller(ScriptedConsumer([0, 1, 4, 5, 7]), clock)
    assert read(poller, 3) == [0, 1]
    clock.now += GAP_PATIENCE_SECONDS
    assert read(poller, 1) == [4, 5]
    clock.now += GAP_PATIENCE_SECONDS

    assert read(poller, 2) == [7]
    assert poller.offsets_skipped == 3


def test_holes_are_only_counted_on_a_broker_that_compacts() -> None:
    poller = open_poller(ScriptedConsumer([0, 1, 4, 5]), heals_gaps=False)

    assert read(poller, 1) == [0, 1, 4, 5]
    assert (poller.gaps_healed, poller.offsets_skipped) == (0, 2)


def test_log_shorter_than_the_position_is_read_from_its_start_as_a_new_life() -> None:
    consumer, clock = ScriptedConsumer(list(range(50))), Clock()
    poller = open_poller(consumer, clock)
    assert len(read(poller, 1)) == 50
    consumer.log = [0, 1]
    poller.poll(0.01)
    clock.now += 2.0
    poller.poll(0.01)
    (fetched,) = poller.poll(0.01)

    assert (fetched.life, [batch.first_offset for batch in fetched.batches]) == (1, [0, 1])
    assert consumer.offsets[PART] == 0


def test_offset_of_an_earlier_life_is_never_committed() -> None:
    consumer, clock = ScriptedConsumer(list(range(50))), Clock()
    poller = open_poller(consumer, clock)
    read(poller, 1)
    consumer.log = [0]
    poller.poll(0.01)
    clock.now += 2.0
    poller.poll(0.01)

    assert poller.commit({0: Done(0, 50)})
    assert consumer.offsets[PART] == 0


def test_vanished_group_offsets_mean_a_new_broker_and_a_read_from_the_start() -> None:
    consumer = ScriptedConsumer(list(range(50)))
    poller = open_poller(consumer)
    read(poller, 1)
    assert poller.commit({0: Done(0, 50)})
    consumer.offsets.clear()
    consumer.log = list(range(80))
    assert read(poller, 1) == list(range(50, 80))

    assert not poller.commit({0: Done(0, 80)})
    assert consumer.offsets[PART] == 0
    assert read(poller, 1) == list(range(80))


def test_lag_counts_what_is_not_committed() -> None:
    poller = open_poller(ScriptedConsumer(list(range(50))))
    read(poller, 1)
    poller.commit({0: Done(0, 20)})

    assert poller.lag() == 30


def test_group_without_offsets_starts_where_the_mapping_says() -> None:
    def first(start: Start) -> list[int]:
        poller = GapHealingPoller(
            ScriptedConsumer(list(range(10))), "t", lambda parts: dict.fromkeys(parts, 10), start=start
        )
        poller.assign_partitions()
        return read(poller, 1)

    assert first(Start()) == list(range(10))
    assert first(Start(is_end=True)) == []
    assert first(Start(timestamp_ms=4)) == [4, 5, 6, 7, 8, 9]
    assert first(Start(timestamp_ms=99)) == []


def test_starting_time_is_told_until_a_record_was_reached() -> None:
    poller = open_poller(ScriptedConsumer(list(range(10))), start=Start(timestamp_ms=4))
    (fetched,) = poller.poll(0.01)
    poller.has_begun(0)
    poller.rewind()
    poller.fetch_only({0})
    (again,) = poller.poll(0.01)

    assert (fetched.since_ms, again.since_ms) == (4, None)


def test_rewound_poller_reads_again_from_what_is_committed() -> None:
    poller = open_poller(ScriptedConsumer(list(range(50))))
    read(poller, 1)
    poller.commit({0: Done(0, 20)})
    poller.rewind()
    assert poller.lag() == 30
    poller.fetch_only({0})

    assert read(poller, 1) == list(range(20, 50))


def test_fetch_that_began_at_the_start_again_is_a_new_life() -> None:
    """The client goes back by itself when it is told that its offset is out of range."""
    consumer = ScriptedConsumer(list(range(50)))
    poller = open_poller(consumer)
    read(poller, 1)
    consumer.position = 0
    (fetched,) = poller.poll(0.01)

    assert (fetched.life, len(fetched.batches)) == (1, 50)


def test_topic_that_is_quiet_for_a_while_is_asked_less_often_until_a_record_comes() -> None:
    clock, told = Clock(), []
    consumer = ScriptedConsumer([0])
    poller = open_poller(consumer, clock, set_fetch_wait=told.append)
    poller.poll(0.01)
    poller.poll(0.01)
    clock.now += QUIET_SECONDS
    poller.poll(0.01)
    consumer.log.append(1)
    poller.poll(0.01)

    assert told == [100, 100, 500, 100]


def test_broker_that_has_records_and_sends_none_is_given_longer_until_it_does() -> None:
    clock, told = Clock(), []
    consumer = ScriptedConsumer([0, 1], hidden={0: 2, 1: 2})
    poller = open_poller(consumer, clock, set_fetch_wait=told.append)
    poller.poll(0.01)
    clock.now += STARVED_SECONDS
    poller.poll(0.01)
    (fetched,) = poller.poll(0.01)

    assert told == [100, 5_000, 100]
    assert len(fetched.batches) == 2
