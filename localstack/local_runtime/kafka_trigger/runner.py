"""Turns one mapping: poll, batch, invoke, commit. At least once, in order per partition, for ever.

One thread per mapping owns the consumer and the lanes and decides everything; each invocation is a thread of its
own that only builds the payload, calls Lambda and reports. So the next records are fetched and encoded while a
batch is in flight. A batch is retried until it succeeds; only then its offsets are committed and its lanes free.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from kafka.errors import KafkaError

from local_runtime.kafka_trigger.batching import (
    Batch,
    Lane,
    Limits,
    Waiting,
    cut_batch,
    may_fetch,
    seconds_until_ready,
)
from local_runtime.kafka_trigger.event_shape import EventShape, encode_record
from local_runtime.kafka_trigger.invoker import Blame, InvokeFailed, Invoker
from local_runtime.kafka_trigger.poller import Done, GapHealingPoller
from local_runtime.kafka_trigger.progress import Progress

log = logging.getLogger(__name__)

IN_FLIGHT_MAX = 5  # what one of Lambda's own pollers does
IDLE_POLL_SECONDS = 0.1
# While a batch is in flight its outcome waits for the poll to end.
BUSY_POLL_SECONDS = 0.02
BROKER_PAUSE_SECONDS = 0.5  # between tries when the broker or the topic is away
PROBE_SECONDS = 5.0  # how old the lag of a partition that is not fetched may be
PARTITION_CHECK_SECONDS = 10.0
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 5.0
# A passing fault is retried with the batch as it is; then each partition goes alone, so that one poisoned
# record holds up its own partition only.
WHOLE_BATCH_TRIES = 2


@dataclass
class Attempt:
    """A batch on its way to the function. `due` is when it may be sent (again)."""

    batch: Batch
    failures: int = 0
    due: float = 0.0


def backoff_seconds(failures: int) -> float:
    """Return the pause after that many failures in a row: doubling, bounded."""
    doublings = min(failures - 1, 16)
    return float(min(BACKOFF_FIRST_SECONDS * 2**doublings, BACKOFF_MAX_SECONDS))


class MappingRunner(Thread):
    """The thread of one mapping. An unforeseen exception ends it, and with it the trigger."""

    def __init__(
        self,
        progress: Progress,
        shape: EventShape,
        open_poller: Callable[[], GapHealingPoller],
        invoker: Invoker,
        *,
        in_flight_max: int = IN_FLIGHT_MAX,
        grace_seconds: float = 10.0,
    ) -> None:
        super().__init__(name=progress.mapping.name, daemon=True)
        self._progress = progress
        self._shape = shape
        self._open_poller = open_poller
        self._invoker = invoker
        self._in_flight_max = in_flight_max
        self._grace_seconds = grace_seconds
        mapping = progress.mapping
        self._limits = Limits(mapping.batch_size, mapping.window_ms, shape.frame_bytes)
        self._lanes: dict[int, Lane] = {}
        self._outcomes: SimpleQueue[tuple[Attempt, Exception | None]] = SimpleQueue()
        self._retries: list[Attempt] = []
        self._running = 0
        self._done: dict[int, Done] = {}
        self._done_records = 0
        self._stopping = Event()
        self._checked = self._probed = 0.0

    def stop(self) -> None:
        """Ask the thread to finish what is in flight, commit and end."""
        self._stopping.set()

    def run(self) -> None:
        """Serve the mapping until `stop`."""
        poller = self._wait_for_topic()
        if poller is None:
            return
        self._progress.state = "running"
        log.info("%s: %d partitions of %s", self.name, len(poller.partitions), self._progress.mapping.topic)
        while not self._stopping.is_set():
            try:
                self._turn(poller)
            except KafkaError as error:
                self._note(f"kafka: {error!r}")
                self._stopping.wait(BROKER_PAUSE_SECONDS)
        self._finish(poller)

    def _wait_for_topic(self) -> GapHealingPoller | None:
        poller = None
        while not self._stopping.is_set():
            try:
                poller = poller or self._open_poller()
                if poller.assign_partitions():
                    return poller
                self._note(f"topic {self._progress.mapping.topic} does not exist yet")
            except KafkaError as error:
                self._note(f"kafka: {error!r}")
            self._stopping.wait(BROKER_PAUSE_SECONDS)
        if poller is not None:
            poller.close()
        return None

    def _turn(self, poller: GapHealingPoller) -> None:
        self._settle(0)
        self._commit(poller)
        self._start_invocations()
        wait = self._poll_seconds()
        if self._steer_fetching(poller):
            self._take_in(poller, wait)
        else:
            self._settle(wait)
        self._look_around(poller)
        self._report(poller)

    def _poll_seconds(self) -> float:
        now = time.monotonic()
        waits = [BUSY_POLL_SECONDS if self._running else IDLE_POLL_SECONDS]
        if self._running < self._in_flight_max:
            waits += [attempt.due - now for attempt in self._retries]
            ready = seconds_until_ready(self._lanes.values(), self._limits, now)
            waits += [] if ready is None else [ready]
        return max(0.001, min(waits))

    def _steer_fetching(self, poller: GapHealingPoller) -> bool:
        for number in poller.partitions:
            self._lanes.setdefault(number, Lane(number, self._shape.partition(number)))
        buffered = sum(lane.waiting_bytes for lane in self._lanes.values())
        wanted = {number for number, lane in self._lanes.items() if may_fetch(lane, buffered)}
        poller.fetch_only(wanted)
        return bool(wanted)

    def _take_in(self, poller: GapHealingPoller, wait: float) -> None:
        fetched = poller.poll(wait)
        arrived = time.monotonic()
        for partition, life, records in fetched:
            lane = self._lanes[partition]
            for record in records:
                lane.add(Waiting(record.offset, encode_record(lane.shape, record), arrived, life))
            self._progress.polled += len(records)

    def _start_invocations(self) -> None:
        now = time.monotonic()
        for attempt in [attempt for attempt in self._retries if attempt.due <= now]:
            if self._running < self._in_flight_max:
                self._retries.remove(attempt)
                self._start(attempt)
        while self._running < self._in_flight_max:
            if seconds_until_ready(self._lanes.values(), self._limits, now) != 0:
                return
            batch = cut_batch(self._lanes.values(), self._limits)
            if batch is not None:
                self._start(Attempt(batch))

    def _start(self, attempt: Attempt) -> None:
        self._running += 1
        Thread(target=self._invoke, args=(attempt,), name=f"{self.name}-invoke", daemon=True).start()

    def _invoke(self, attempt: Attempt) -> None:
        failure: Exception | None = None
        try:
            self._invoker.invoke(self._progress.mapping.function, attempt.batch.payload(self._shape))
        except Exception as error:  # noqa: BLE001 - handed to the runner, which raises what it does not expect
            failure = error
        self._outcomes.put((attempt, failure))

    def _settle(self, wait: float) -> None:
        try:
            outcome = self._outcomes.get(timeout=wait) if wait else self._outcomes.get_nowait()
            while True:
                self._settle_one(*outcome)
                outcome = self._outcomes.get_nowait()
        except Empty:
            return

    def _settle_one(self, attempt: Attempt, failure: Exception | None) -> None:
        progress, batch = self._progress, attempt.batch
        self._running -= 1
        progress.invocations += 1
        progress.invoked += batch.count
        if failure is None:
            for part in batch.slices:
                self._lanes[part.partition].is_busy = False
                self._done[part.partition] = Done(part.life, part.last_offset + 1)
            self._done_records += batch.count
            progress.last_error = progress.last_error if self._retries else None
            return
        if not isinstance(failure, InvokeFailed):
            raise failure
        progress.failed_invocations += 1
        progress.failed += batch.count
        self._schedule_retry(attempt, failure)

    def _schedule_retry(self, attempt: Attempt, failure: InvokeFailed) -> None:
        failures = attempt.failures + 1
        is_suspect = failure.blame is Blame.FUNCTION and failures >= WHOLE_BATCH_TRIES
        batches = attempt.batch.split() if is_suspect else [attempt.batch]
        due = time.monotonic() + backoff_seconds(failures)
        self._retries += [Attempt(batch, failures, due) for batch in batches]
        error = f"{self._describe(attempt.batch)}, try {failures}: {failure}"
        if failures & (failures - 1):
            self._progress.last_error = error  # a line for tries 1, 2, 4, 8: a log must not grow with an outage
        else:
            self._note(error)

    def _describe(self, batch: Batch) -> str:
        topic = self._progress.mapping.topic
        parts = [f"{topic}-{part.partition}@{part.first_offset}-{part.last_offset}" for part in batch.slices]
        return ", ".join(parts)

    def _commit(self, poller: GapHealingPoller) -> None:
        if not self._done:
            return
        if poller.commit(self._done):
            self._progress.committed += self._done_records
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
        progress = self._progress
        progress.in_flight, progress.retrying = self._running, len(self._retries)
        progress.gaps_healed, progress.offsets_skipped = poller.gaps_healed, poller.offsets_skipped
        progress.lag = poller.lag()
        stuck = [lane.stuck_reason for lane in self._lanes.values() if lane.stuck_reason]
        if stuck:
            self._note("; ".join(stuck))
        elif not self._retries and not self._running:
            progress.last_error = None

    def _note(self, error: str) -> None:
        if error != self._progress.last_error:
            log.warning("%s: %s", self.name, error)
        self._progress.last_error = error

    def _finish(self, poller: GapHealingPoller) -> None:
        self._progress.state = "stopping"
        deadline = time.monotonic() + self._grace_seconds
        while self._running and time.monotonic() < deadline:
            self._settle(IDLE_POLL_SECONDS)
        try:
            self._commit(poller)
            poller.close()
        except KafkaError as error:
            self._note(f"kafka: {error!r}")  # uncommitted records come again after the next start
