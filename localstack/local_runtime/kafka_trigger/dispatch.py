"""Batches on their way: starts what is due, takes in what came of it, and says what is done.

The mapping's thread calls everything here; an invocation or a delivery is a thread of its own that only acts and
reports. What comes next is decided in `retry`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread

from local_runtime.kafka_trigger.batch import Batch, Slice
from local_runtime.kafka_trigger.destinations import DeliveryFailed, Destinations
from local_runtime.kafka_trigger.failure_record import Origin
from local_runtime.kafka_trigger.invoker import Invoker
from local_runtime.kafka_trigger.pollers import Concurrency
from local_runtime.kafka_trigger.progress import Progress
from local_runtime.kafka_trigger.retry import GivenUp, Outcome, Piece, Step, Verdict, decide, expire

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """The pause after so many failures in a row: doubling, bounded."""

    first_seconds: float = 0.1
    most_seconds: float = 5.0

    def seconds(self, failures: int) -> float:
        """Return the pause; no failure, no pause."""
        if not failures:
            return 0.0
        doublings = min(failures - 1, 16)
        return float(min(self.first_seconds * 2**doublings, self.most_seconds))


@dataclass(eq=False)
class Work:
    """A batch and the steps that are left of it. `due` is when the first one may be taken.

    `held`: the partitions that go on only after it, each with how many of its records are reported as done.
    """

    batch: Batch
    steps: list[Step]
    held: dict[int, int]
    due: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    is_running: bool = False

    def pending(self) -> list[Slice]:
        """Return the slices that are not done, in order."""
        return [part for step in self.steps for part in step.batch.slices]


Report = Outcome | DeliveryFailed | Exception | None


@dataclass
class Ports:
    """What the threads act on."""

    invoker: Invoker
    destinations: Destinations
    origin: Origin


@dataclass
class Dispatcher:
    """All batches of one mapping that are not done. `note` takes a line for people."""

    progress: Progress
    ports: Ports
    concurrency: Concurrency
    note: Callable[[str], None]
    backoff: Backoff = field(default_factory=Backoff)
    works: list[Work] = field(default_factory=list)
    running: int = 0
    _reports: SimpleQueue[tuple[Work, Step, Report]] = field(default_factory=SimpleQueue)

    @property
    def has_room(self) -> bool:
        """Whether one more invocation may run."""
        return self.running < self.concurrency.limit

    def add(self, batch: Batch, first: Step | None = None) -> None:
        """Take a batch on; its first step is an invocation unless another is given."""
        held = {part.partition: 0 for part in batch.slices}
        self.works.append(Work(batch, [first or Piece(batch)], held))

    def start_due(self, now: float) -> list[Work]:
        """Start as many due steps as may run; return the batches that are done without any."""
        finished = []
        for work in [work for work in self.works if not work.is_running and work.due <= now]:
            if not self.has_room:
                break
            if self._prepare(work):
                self._start(work)
            else:
                self.works.remove(work)
                finished.append(work)
        return finished

    def seconds_until_due(self, now: float) -> float | None:
        """Return how long nothing can be started; None when nothing waits."""
        waits = [work.due - now for work in self.works if not work.is_running]
        return max(0.0, min(waits)) if waits and self.has_room else None

    def settle(self, wait: float) -> list[Work]:
        """Take in what ended, waiting so long for the first; return the batches that got further."""
        advanced = []
        try:
            report = self._reports.get(timeout=wait) if wait else self._reports.get_nowait()
            while True:
                if self._settle_one(*report):
                    advanced.append(report[0])
                report = self._reports.get_nowait()
        except Empty:
            return advanced

    def shared_failure_since(self) -> float | None:
        """Return since when the oldest batch of several partitions has failed that nothing ever gives up."""
        if self.progress.mapping.rules.retries_max is not None:
            return None
        since = [work.failing_since for work in self.works if len(work.batch.slices) > 1]
        return min((moment for moment in since if moment is not None), default=None)

    def is_failing(self) -> bool:
        """Return whether any batch waits for another try."""
        return any(work.failures for work in self.works)

    def withdraw(self, *, also_running: bool) -> list[Work]:
        """Take the waiting batches back, and forget those in flight if told so: their outcome counts no more."""
        back = [work for work in self.works if also_running or not work.is_running]
        self.works = [work for work in self.works if work not in back]
        return back

    def _prepare(self, work: Work) -> bool:
        """Put what is to be done next to the front; return False when nothing is left."""
        while work.steps:
            step = work.steps[0]
            if isinstance(step, Piece):
                work.steps[:1] = expire(self.progress.mapping.rules, step, int(time.time() * 1000))
                if work.steps[0] is step:
                    return True
            elif self.progress.mapping.destination is not None:
                return True
            else:
                self._drop(work)
        return False

    def _drop(self, work: Work) -> None:
        step = work.steps.pop(0)
        self.progress.dropped += step.batch.count
        why = step.condition.value if isinstance(step, GivenUp) else ""
        self.note(f"{self.describe(step.batch)}: {step.batch.count} records dropped: {why}")

    def _start(self, work: Work) -> None:
        self.running += 1
        work.is_running = True
        name = f"{self.progress.mapping.name}-invoke"
        Thread(target=self._run, args=(work, work.steps[0]), name=name, daemon=True).start()

    def _run(self, work: Work, step: Step) -> None:
        report: Report = None
        mapping, ports = self.progress.mapping, self.ports
        try:
            if isinstance(step, Piece):
                report = ports.invoker.invoke(mapping.function, step.batch.payload(ports.origin.shape))
            elif mapping.destination is not None:
                ports.destinations.deliver(mapping.destination, ports.origin, step, int(time.time() * 1000))
        except Exception as error:  # noqa: BLE001 - handed to the runner, which raises what it does not expect
            report = error
        self._reports.put((work, step, report))

    def _settle_one(self, work: Work, step: Step, report: Report) -> bool:
        self.running -= 1
        work.is_running = False
        if isinstance(report, Outcome):
            self._count(step.batch, report)
        elif isinstance(report, Exception) and not isinstance(report, DeliveryFailed):
            raise report
        if work not in self.works:
            return False  # withdrawn: its records are in other hands
        if isinstance(report, Outcome) and isinstance(step, Piece):
            self._take_in(work, step, report)
        elif isinstance(report, DeliveryFailed):
            self._fail(work, str(report))
        else:
            self._drop(work)
            self.progress.delivered += step.batch.count
        if not work.steps:
            self.works.remove(work)
        return True

    def _take_in(self, work: Work, piece: Piece, outcome: Outcome) -> None:
        mapping = self.progress.mapping
        work.steps[:1] = rest = decide(mapping.rules, mapping.topic, piece, outcome)
        if not rest:
            work.failures, work.failing_since = 0, None
            return
        left = sum(step.batch.count for step in rest)
        reason = outcome.reason or f"the function wants {left} of {piece.batch.count} records again"
        self._fail(work, f"{self.describe(piece.batch)}, try {piece.invokes + 1}: {outcome.verdict.value}: {reason}")
        if len(rest) > 1 or isinstance(rest[0], GivenUp):
            work.due = 0.0  # something else is done next: no pause is needed before it

    def _fail(self, work: Work, error: str) -> None:
        now = time.monotonic()
        work.failures += 1
        work.failing_since = work.failing_since or now
        work.due = now + self.backoff.seconds(work.failures)
        if work.failures & (work.failures - 1):
            self.progress.last_error = error  # a line for 1, 2, 4, 8 in a row: a log must not grow with an outage
        else:
            self.note(error)

    def _count(self, batch: Batch, outcome: Outcome) -> None:
        progress = self.progress
        progress.invocations += 1
        progress.invoked += batch.count
        if outcome.verdict is Verdict.THROTTLED:
            progress.throttled_invocations += 1
            self.concurrency.throttled()
        else:
            self.concurrency.succeeded()
        if outcome.verdict is not Verdict.SUCCEEDED:
            progress.failed_invocations += 1
            progress.failed += batch.count

    def describe(self, batch: Batch) -> str:
        """Return the batch's partitions and offsets as one word each."""
        topic = self.progress.mapping.topic
        return ", ".join(f"{topic}-{part.partition}@{part.offsets[0]}-{part.offsets[-1]}" for part in batch.slices)
