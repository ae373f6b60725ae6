"""Record batches of one topic from Kafka, in order, without holes, and the group's committed offsets.

One consumer on `assign()`: it starts at once and no rebalance takes a partition away. Knows how the embedded
broker misleads a tailing reader and heals it. Not thread-safe: the mapping's runner thread owns it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from local_runtime.kafka_trigger.consumer import (
    COMMIT_TIMEOUT_MS,
    FETCH_WAIT_MS_MAX,
    QUIET_FETCH_WAIT_MS_MAX,
    REQUEST_TIMEOUT_MS,
    STARVED_FETCH_WAIT_MS_MAX,
)
from local_runtime.kafka_trigger.positions import AT_OLDEST, Done, Fetched, Position, Start
from local_runtime.kafka_trigger.record_batch import RawBatch

ReadEnds = Callable[[Sequence[TopicPartition]], dict[TopicPartition, int]]

log = logging.getLogger(__name__)

# The embedded broker raises a partition's end before it stores the batch: a reader can see batch N+1 before N.
# Two racing producers are healed in milliseconds; a hole a crash left behind is never filled.
GAP_PATIENCE_SECONDS = 10.0
GAP_PAUSE_SECONDS = 0.005
QUIET_SECONDS = 10.0  # without a record, until the broker is asked less often
STARVED_SECONDS = 1.0  # without a record although there are some, until the broker is given longer to find them
# A follower that becomes leader may lag for a moment; a log that is really shorter stays shorter.
SHORT_LOG_PATIENCE_SECONDS = 1.0


class GapHealingPoller:
    """Read all partitions of a topic for the consumer's group, and close the consumer in the end."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        topic: str,
        read_ends: ReadEnds,
        *,
        start: Start = AT_OLDEST,
        heals_gaps: bool = True,
        set_fetch_wait: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gaps_healed = 0
        self.offsets_skipped = 0
        self._consumer = consumer
        self._topic = topic
        self._read_ends = read_ends
        self._start = start
        self._heals_gaps = heals_gaps
        self._set_fetch_wait = set_fetch_wait
        self._clock = clock
        self._heard = clock()
        self._positions: dict[int, Position] = {}
        self._ends: dict[int, int] = {}
        self._fetching: set[int] = set()

    @property
    def partitions(self) -> list[int]:
        """Partitions that are read."""
        return sorted(self._positions)

    def assign_partitions(self) -> bool:
        """Take in partitions that are not read yet, from the group's offset or the starting position.

        Returns:
            Whether the topic has any partition.
        """
        present = self._consumer.partitions_for_topic(self._topic)
        added = [TopicPartition(self._topic, number) for number in sorted(present - self._positions.keys())]
        if added:
            positions = [self._find_position(topic_partition) for topic_partition in added]
            # Committed at once: that it is gone later is how a broker that came back empty is noticed.
            self._write_offsets({position.topic_partition: position.expected for position in positions})
            self._positions |= {position.topic_partition.partition: position for position in positions}
            self.fetch_only(set(self._positions))
        return bool(self._positions)

    def poll(self, timeout_seconds: float) -> list[Fetched]:
        """Return what has arrived, per partition in offset order, without holes where they are healed."""
        answer = self._consumer.poll(timeout_ms=max(1, int(timeout_seconds * 1000)))
        now = self._clock()
        self._heard = now if answer else self._heard
        fetched = []
        for topic_partition, batches in answer.items():
            position = self._positions[topic_partition.partition]
            kept = self._keep_contiguous(position, batches)
            if kept:
                fetched.append(Fetched(topic_partition.partition, position.life, kept, position.since_ms))
        self._read_high_watermarks()
        self._set_fetch_wait(self._fetch_wait_ms(now - self._heard))
        self._restart_short_logs()
        return fetched

    def fetch_only(self, partitions: set[int]) -> None:
        """Stop fetching for every other partition until it is named again; nothing is forgotten.

        By `assign` and `seek`: in kafka-python 3.0.12 a partition that was paused while its records were half read is
        sometimes never resumed (its parked records wait for a slot that a drained fetch keeps).
        """
        added = partitions - self._fetching
        if not partitions or (not added and len(partitions) == len(self._fetching)):
            return
        self._fetching = set(partitions)
        self._consumer.assign([self._positions[number].topic_partition for number in sorted(partitions)])
        for number in added:
            self._consumer.seek(self._positions[number].topic_partition, self._positions[number].expected)

    def commit(self, done: Mapping[int, Done]) -> bool:
        """Commit what is processed; offsets of an earlier life of the log are left out.

        Returns:
            False when nothing was committed because the group's offsets are gone or moved back (a memory
            broker that came back empty): reading starts again from what the group says, else the earliest.
        """
        positions = self._positions
        live = {number: part for number, part in done.items() if part.life == positions[number].life}
        if not live:
            return True
        # One partition stands for all: offsets vanish with the broker. Without this look, an offset of the
        # former life would be committed over the new one and its first records would never be read.
        first = positions[next(iter(live))]
        seen = self._consumer.committed(first.topic_partition, timeout_ms=COMMIT_TIMEOUT_MS)
        if seen is None or seen < first.committed:
            self._restart_from_group()
            return False
        self._write_offsets({positions[number].topic_partition: part.next_offset for number, part in live.items()})
        for number, part in live.items():
            positions[number].committed = part.next_offset
        return True

    def has_begun(self, partition: int) -> None:
        """Note that a record was reached that the starting position wants: nothing is left out any more."""
        self._positions[partition].since_ms = None

    def lag(self) -> int | None:
        """Return the records that are not committed yet; None until every partition was fetched once."""
        lags = self.lags()
        return sum(lags.values()) if lags and len(lags) == len(self._positions) else None

    def offsets(self) -> dict[int, int]:
        """Return the committed offset of each partition."""
        return {number: position.committed for number, position in self._positions.items()}

    def probe_ends(self) -> None:
        """Read the ends of partitions that are not fetched now, so that their lag stays exact."""
        aside = [self._positions[number].topic_partition for number in self._positions.keys() - self._fetching]
        if aside:
            self._ends |= {part.partition: end for part, end in self._read_ends(aside).items()}

    def rewind(self) -> None:
        """Stop fetching and forget what was fetched beyond the committed offsets; `fetch_only` starts again there."""
        self._fetching = set()
        for position in self._positions.values():
            position.expected = position.committed
            position.gap_since = position.short_since = None

    def lags(self) -> dict[int, int]:
        """Return the records that are not committed yet, by partition, as far as the ends are known."""
        return {
            number: max(self._ends[number], position.expected) - position.committed
            for number, position in self._positions.items()
            if number in self._ends
        }

    def close(self) -> None:
        """Leave the broker; commits nothing."""
        self._consumer.close(autocommit=False, timeout_ms=COMMIT_TIMEOUT_MS)

    def _find_position(self, topic_partition: TopicPartition) -> Position:
        committed = self._read_committed(topic_partition)
        if committed is not None:
            return Position(topic_partition, committed, committed)
        if self._positions:  # it was added to the topic: all of it is new
            earliest = self._earliest(topic_partition)
            return Position(topic_partition, earliest, earliest)
        start = self._find_start(topic_partition)
        return Position(topic_partition, start, start, since_ms=self._start.timestamp_ms)

    def _find_start(self, topic_partition: TopicPartition) -> int:
        if self._start.timestamp_ms is not None:
            asked = {topic_partition: self._start.timestamp_ms}
            found = self._consumer.offsets_for_times(asked, timeout_ms=REQUEST_TIMEOUT_MS)[topic_partition]
            if found is not None:
                return int(found.offset)
        if self._start.is_end or self._start.timestamp_ms is not None:
            return self._read_ends([topic_partition])[topic_partition]
        return self._earliest(topic_partition)

    def _read_committed(self, topic_partition: TopicPartition) -> int | None:
        committed = self._consumer.committed(topic_partition, timeout_ms=COMMIT_TIMEOUT_MS)
        return None if committed is None else int(committed)

    def _earliest(self, topic_partition: TopicPartition) -> int:
        offsets = self._consumer.beginning_offsets([topic_partition], timeout_ms=REQUEST_TIMEOUT_MS)
        return int(offsets[topic_partition])

    def _write_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._consumer.commit(
            {part: OffsetAndMetadata(offset, "", -1) for part, offset in offsets.items()},
            timeout_ms=COMMIT_TIMEOUT_MS,
        )

    def _keep_contiguous(self, position: Position, batches: Sequence[RawBatch]) -> Sequence[RawBatch]:
        first = batches[0].first_offset
        if first < position.expected:
            # The client was told "out of range" and went back to the earliest by itself.
            log.warning("%s: the log starts again at offset %d", position.topic_partition, first)
            position.life += 1
            position.expected = first
        for index, batch in enumerate(batches):
            if batch.first_offset > position.expected:
                if self._heals_gaps and not self._is_out_of_patience(position, index):
                    self._seek_back(position)
                    return batches[:index]
                self._warn_of_gap(position, batch.first_offset - position.expected)
                position.gap_since = None
            position.expected = batch.last_offset + 1
        position.gap_since = None
        return batches

    def _is_out_of_patience(self, position: Position, index: int) -> bool:
        now = self._clock()
        if index or position.gap_since is None:
            position.gap_since = now
        return now - position.gap_since > GAP_PATIENCE_SECONDS

    def _seek_back(self, position: Position) -> None:
        self.gaps_healed += 1
        self._consumer.seek(position.topic_partition, position.expected)
        time.sleep(GAP_PAUSE_SECONDS)

    def _warn_of_gap(self, position: Position, missing: int) -> None:
        self.offsets_skipped += missing
        log.warning("%s: %d offsets from %d have no record", position.topic_partition, missing, position.expected)

    def _fetch_wait_ms(self, silent_seconds: float) -> int:
        is_behind = any(self._ends.get(number, 0) > self._positions[number].expected for number in self._fetching)
        if is_behind and silent_seconds > STARVED_SECONDS:
            return STARVED_FETCH_WAIT_MS_MAX
        return QUIET_FETCH_WAIT_MS_MAX if silent_seconds > QUIET_SECONDS else FETCH_WAIT_MS_MAX

    def _read_high_watermarks(self) -> None:
        for number in self._fetching:
            end = self._consumer.highwater(self._positions[number].topic_partition)
            if end is not None:
                self._ends[number] = int(end)

    def _restart_short_logs(self) -> None:
        now = self._clock()
        for number in self._fetching:
            position, end = self._positions[number], self._ends.get(number)
            if end is None or end >= position.expected:
                position.short_since = None
            elif position.short_since is None:
                position.short_since = now
            elif now - position.short_since > SHORT_LOG_PATIENCE_SECONDS:
                log.warning("%s ends at %d, before %d", position.topic_partition, end, position.expected)
                self._restart({position.topic_partition: self._earliest(position.topic_partition)})

    def _restart_from_group(self) -> None:
        parts = [position.topic_partition for position in self._positions.values()]
        groups = {part: self._read_committed(part) for part in parts}
        # A log that is new to the group is read whole, whatever the mapping's starting position was long ago.
        self._restart({part: self._earliest(part) if start is None else start for part, start in groups.items()})

    def _restart(self, starts: Mapping[TopicPartition, int]) -> None:
        for topic_partition, start in starts.items():
            log.warning("%s is read again from offset %d", topic_partition, start)
            position = self._positions[topic_partition.partition]
            if topic_partition.partition in self._fetching:
                self._consumer.seek(topic_partition, start)
            position.expected = position.committed = start
            position.life += 1
            position.short_since = position.gap_since = position.since_ms = None
            self._ends.pop(topic_partition.partition, None)
        # Last: when it fails, the offsets are still missing and the next commit restarts once more.
        self._write_offsets(starts)
