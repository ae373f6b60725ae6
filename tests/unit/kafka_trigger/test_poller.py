"""Gap healing and restarted logs, with a consumer that misbehaves on cue as the embedded broker does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka import TopicPartition

from local_runtime.kafka_trigger.poller import GAP_PATIENCE_SECONDS, Done, GapHealingPoller

PART = TopicPartition("t", 0)


class Record(NamedTuple):
    offset: int


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

    def commit(self, offsets: dict[TopicPartition, Any], timeout_ms: int) -> None:
        self.offsets |= {part: entry.offset for part, entry in offsets.items()}

    def highwater(self, _partition: TopicPartition) -> int | None:
        return (self.log[-1] + 1 if self.log else 0) if self.end is None else self.end

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        visible = [offset for offset in self.log if offset >= self.position and not self.hidden.get(offset)]
        self.hidden = {offset: left - 1 for offset, left in self.hidden.items() if left > 1}
        if not visible:
            return {}
        self.position = visible[-1] + 1
        return {PART: [Record(offset) for offset in visible]}


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
    return [record.offset for _ in range(polls) for part in poller.poll(0.01) for record in part.records]


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

    assert (fetched.life, [record.offset for record in fetched.records]) == (1, [0, 1])
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
