"""Turns one mapping: poll, encode, batch, dispatch, commit. At least once, in order per partition, for ever.

One thread per mapping owns the consumer and the lanes and decides everything; invocations are threads of their own,
and the client fetches on one more. So the next records arrive and are encoded while batches are in flight. Offsets
are committed when their records are done (accepted, or given up), and only then the partition's lane is free.
"""

from __future__ import annotations

import logging
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event, Thread

from kafka.errors import KafkaError

from local_runtime.kafka_trigger.batching import Lane, Limits, cut_batch, has_room, seconds_until_ready, take_oversize
from local_runtime.kafka_trigger.dispatch import Backoff, Dispatcher, Ports, Work
from local_runtime.kafka_trigger.filters import compile_filters
from local_runtime.kafka_trigger.intake import Inbox
from local_runtime.kafka_trigger.pace import Pace
from local_runtime.kafka_trigger.poller import GapHealingPoller
from local_runtime.kafka_trigger.pollers import (
    INVOCATIONS_PER_POLLER,
    SCALING_SECONDS,
    Concurrency,
    Scaling,
    own_partitions,
)
from local_runtime.kafka_trigger.positions import Done
from local_runtime.kafka_trigger.progress import DISABLED, RUNNING, STARTING, STOPPING, Progress
from local_runtime.kafka_trigger.retry import Condition, GivenUp, settled_offsets

log = logging.getLogger(__name__)

IDLE_POLL_SECONDS = 0.25  # how late a stop or a pause is noticed; records end the wait
POLL_SECONDS_MIN = 0.001  # a poll that does not wait at all gets no answer
# While a batch is in flight its outcome waits for the poll to end.
BUSY_POLL_SECONDS = 0.02
BROKER_PAUSE_SECONDS = 0.5  # between tries when the broker or the topic is away
PROBE_SECONDS = 1.0  # how old the lag of a partition that is not fetched may be; it costs 14 ms
PARTITION_CHECK_SECONDS = 10.0


@dataclass(frozen=True)
class Tuning:
    """What the command line may change about how mappings run; AWS has no word for it."""

    invocations_per_poller: int = INVOCATIONS_PER_POLLER
    scaling_seconds: float = SCALING_SECONDS
    grace_seconds: float = 8.0
    backoff: Backoff = field(default_factory=Backoff)
    # Above 0: every so many seconds a rebalance in the middle of whatever is in flight.
    chaos_seconds: float = 0.0


class MappingRunner(Thread):
    """The thread of one mapping. An unforeseen exception ends it, and with it the trigger."""

    def __init__(
        self, progress: Progress, open_poller: Callable[[], GapHealingPoller], ports: Ports, tuning: Tuning
    ) -> None:
        mapping = progress.mapping
        super().__init__(name=mapping.name, daemon=True)
        self.progress = progress
        self._open_poller = open_poller
        self._tuning = tuning
        self._shape = ports.origin.shape
        self._limits = Limits(mapping.batch_size, mapping.window_ms, self._shape.frame_bytes)
        self._inbox = Inbox(compile_filters(mapping.filters))
        self._scaling = Scaling(mapping.pollers_min, mapping.pollers_max, tuning.scaling_seconds)
        self._dispatcher = Dispatcher(
            progress, ports, Concurrency(tuning.invocations_per_poller), self._note, tuning.backoff
        )
        self._lanes: dict[int, Lane] = {}
        self._groups: list[list[Lane]] = []
        self._done: dict[int, Done] = {}
        self._done_records = 0
        self._stopping = Event()
        self._enabled = Event()
        if mapping.enabled:
            self._enabled.set()
        self._is_at_rest = False
        self._checked = self._probed = 0.0
        self._pace = Pace(mapping.window_ms)
        self._shaken = time.monotonic()

    def stop(self) -> None:
        """Ask the thread to finish what is in flight, commit and end."""
        self._stopping.set()

    def enable(self, *, enabled: bool) -> None:
        """Pause the mapping, or let it go on: what is in flight is finished, the lag stays visible."""
        if enabled:
            self._enabled.set()
        else:
            self._enabled.clear()

    def run(self) -> None:
        """Serve the mapping until `stop`."""
        poller = self._wait_for_topic()
        if poller is None:
            return
        log.info("%s: %d partitions of %s", self.name, len(poller.partitions), self.progress.mapping.topic)
        while not self._stopping.is_set():
            try:
                if self._enabled.is_set():
                    self._turn(poller)
                else:
                    self._rest(poller)
                self._look_around(poller)
                self._report(poller)
            except KafkaError as error:
                self._note(f"kafka: {error!r}")
                self._stopping.wait(BROKER_PAUSE_SECONDS)
        self._finish(poller)

    def _wait_for_topic(self) -> GapHealingPoller | None:
        poller = None
        while not self._stopping.is_set():
            self.progress.state = STARTING if self._enabled.is_set() else DISABLED
            try:
                poller = poller or self._open_poller()
                if poller.assign_partitions():
                    return poller
                self._note(f"topic {self.progress.mapping.topic} does not exist yet")
            except KafkaError as error:
                self._note(f"kafka: {error!r}")
            self._stopping.wait(BROKER_PAUSE_SECONDS)
        if poller is not None:
            poller.close()
        return None

    def _turn(self, poller: GapHealingPoller) -> None:
        self.progress.state, self._is_at_rest = RUNNING, False
        self._settle(0)
        self._commit(poller)
        self._rebalance()
        self._unpack(poller)
        self._start_invocations()
        wait, pause = self._wait_seconds(), self._pace.seconds_until_due(time.monotonic())
        if pause:
            self._settle(min(wait, pause))
        elif self._steer_fetching(poller):
            fetched = poller.poll(min(wait, BUSY_POLL_SECONDS) if self._dispatcher.running else wait)
            self._inbox.put(fetched, time.monotonic())
            self._pace.note(fetched, time.monotonic())
        else:
            self._settle(wait)

    def _rest(self, poller: GapHealingPoller) -> None:
        """Finish what is in flight; hold nothing back, since a later start reads it again."""
        self._take_back(self._dispatcher.withdraw(also_running=False))
        self._settle(IDLE_POLL_SECONDS)
        self._commit(poller)
        if not self._dispatcher.running and not self._is_at_rest:
            self._is_at_rest = True
            self._inbox.clear()
            for lane in self._lanes.values():
                lane.clear()
            poller.rewind()
            self.progress.state = DISABLED

    def _unpack(self, poller: GapHealingPoller) -> None:
        unpacked = self._inbox.unpack_into(self._lanes)
        self.progress.polled += unpacked.records
        self.progress.filtered += unpacked.filtered
        for partition in unpacked.begun:
            poller.has_begun(partition)

    def _wait_seconds(self) -> float:
        """Return how long nothing has to be done but to fetch and to take outcomes in."""
        now = time.monotonic()
        readable = (lane for number, lane in self._lanes.items() if number not in self._inbox.unreadable)
        if any(self._inbox.holds(lane.partition) and has_room(lane, 0) for lane in readable):
            return POLL_SECONDS_MIN
        waits = [IDLE_POLL_SECONDS]
        if self._dispatcher.has_room:
            due = self._dispatcher.seconds_until_due(now)
            ready = [seconds_until_ready(lanes, self._limits, now) for lanes in self._groups]
            waits += [wait for wait in (due, *ready) if wait is not None]
        return max(POLL_SECONDS_MIN, min(waits))

    def _steer_fetching(self, poller: GapHealingPoller) -> bool:
        if len(self._lanes) != len(poller.partitions):
            for number in poller.partitions:
                self._lanes.setdefault(number, Lane(number, self._shape.partition(number)))
            self._regroup()
        buffered = sum(lane.waiting_bytes for lane in self._lanes.values())
        wanted = {
            number for number, lane in self._lanes.items() if has_room(lane, buffered) and not self._inbox.holds(number)
        }
        poller.fetch_only(wanted)
        return bool(wanted)

    def _start_invocations(self) -> None:
        now = time.monotonic()
        for lane in self._lanes.values():
            if passed := lane.pass_filtered():
                self._done[lane.partition] = Done(*passed)
            if lane.stuck_reason and self.progress.mapping.destination:
                oversize = take_oversize(lane)
                self._dispatcher.add(oversize, GivenUp(oversize, Condition.TOO_LARGE))
        self._advance(self._dispatcher.start_due(now))
        for lanes in self._groups:
            while self._dispatcher.has_room and seconds_until_ready(lanes, self._limits, now) == 0:
                if batch := cut_batch(lanes, self._limits):
                    self._dispatcher.add(batch)
                    self._advance(self._dispatcher.start_due(now))

    def _settle(self, wait: float) -> None:
        self._advance(self._dispatcher.settle(wait))

    def _advance(self, works: Iterable[Work]) -> None:
        for work in works:
            settled = settled_offsets(work.batch, work.steps)
            pending = {part.partition for part in work.pending()}
            for part in work.batch.slices:
                if part.partition in work.held:
                    life, offset = settled[part.partition]
                    self._done[part.partition] = Done(life, offset)
                    count = bisect_left(part.offsets, offset)
                    self._done_records += count - work.held[part.partition]
                    work.held[part.partition] = count
                    if part.partition not in pending:
                        del work.held[part.partition]
                        self._lanes[part.partition].is_busy = False

    def _take_back(self, works: Iterable[Work]) -> None:
        now = time.monotonic()
        for work in works:
            for part in reversed(work.pending()):
                self._lanes[part.partition].put_back(part, now)

    def _rebalance(self) -> None:
        now, chaos, dispatcher = time.monotonic(), self._tuning.chaos_seconds, self._dispatcher
        since, is_failing = dispatcher.shared_failure_since(), dispatcher.is_failing()
        is_shaken = bool(chaos) and now - self._shaken > chaos
        if is_shaken:
            self._shaken = now
            self._scaling.pollers = random.randint(1, max(1, len(self._lanes)))  # noqa: S311 - chaos, no secret
        elif not self._scaling.scale(now, since, len(self._lanes), is_failing=is_failing):
            return
        self._take_back(dispatcher.withdraw(also_running=is_shaken))
        self._regroup()
        self.progress.rebalances += 1
        log.info("%s: rebalanced to %d pollers", self.name, self._scaling.pollers)

    def _regroup(self) -> None:
        owned = own_partitions(self._lanes, self._scaling.pollers)
        self._groups = [[self._lanes[number] for number in numbers] for numbers in owned]
        self._dispatcher.concurrency.allow(self._tuning.invocations_per_poller * max(1, len(owned)))
        self.progress.pollers = len(owned)

    def _commit(self, poller: GapHealingPoller) -> None:
        if not self._done:
            return
        if poller.commit(self._done):
            self.progress.committed += self._done_records
        self._done, self._done_records = {}, 0

    def _look_around(self, poller: GapHealingPoller) -> None:
        now = time.monotonic()
        if now - self._checked > PARTITION_CHECK_SECONDS:
            self._checked = now
            poller.assign_partitions()
        if now - self._probed > PROBE_SECONDS:
            self._probed = now
            poller.probe_ends()

    def _report(self, poller: GapHealingPoller) -> None:
        progress, dispatcher = self.progress, self._dispatcher
        progress.in_flight = dispatcher.running
        progress.retrying = sum(not work.is_running for work in dispatcher.works)
        progress.gaps_healed, progress.offsets_skipped = poller.gaps_healed, poller.offsets_skipped
        progress.lag, progress.lags, progress.offsets = poller.lag(), poller.lags(), poller.offsets()
        oversize = (lane.stuck_reason for lane in self._lanes.values() if lane.stuck_reason)
        if stuck := [*oversize, *self._inbox.unreadable.values()]:
            self._note("; ".join(stuck))
        elif not dispatcher.is_failing():
            progress.last_error = None

    def _note(self, error: str) -> None:
        if error != self.progress.last_error:
            log.warning("%s: %s", self.name, error)
        self.progress.last_error = error

    def _finish(self, poller: GapHealingPoller) -> None:
        self.progress.state = STOPPING
        deadline = time.monotonic() + self._tuning.grace_seconds
        while self._dispatcher.running and time.monotonic() < deadline:
            self._settle(IDLE_POLL_SECONDS)
        try:
            self._commit(poller)
            poller.close()
        except KafkaError as error:
            self._note(f"kafka: {error!r}")  # uncommitted records come again after the next start
