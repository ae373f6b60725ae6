"""The benchmark of the brief: so many events, then updates, then deletes, over HTTP and straight at Kafka.

The time of each is from the first byte sent until the engine was seen to hold exactly what it must: as many events,
and the same sum over a checksum of each.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from event_analytics.decode import split_events
from event_analytics.ingest import Item, plan_items
from event_analytics.operations import plan_operations
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC
from event_analytics.validate import Acceptance
from scripts.bench.embedded import Say, Target
from scripts.bench.figures import sum_of
from scripts.bench.load_generator import LoadGenerator
from scripts.bench.processes import StageProcesses, cpu_seconds_between, micros_per_event
from scripts.bench.rivals.record_files import Prepared, write_records
from scripts.bench.sender import BATCHES_PER_CHANGE, Job
from scripts.bench.subjects import Subject
from scripts.bench.workload import DEFAULT_SHAPE, DELETED, UPDATED, Expectation, Selection, Workload, in_groups

EVENTS: Final = 500_000
EVENTS_PER_REQUEST: Final = 500
CONNECTIONS: Final = 4
WARM_UPS: Final = 2
WARM_UP_EVENTS: Final = 20_000


class Step(NamedTuple):
    """One of the three. `chosen`: what it is done to; `mapping`: what delivers it."""

    kind: str
    chosen: Selection
    topic: str
    mapping: str
    figure: str


STEPS: Final = (
    Step("creates", Selection((0,), 1), EVENTS_TOPIC, "LoadEventsMapping", "ingest"),
    Step("updates", UPDATED, EVENT_CHANGES_TOPIC, "LoadChangesMapping", "update"),
    Step("deletes", DELETED, EVENT_CHANGES_TOPIC, "LoadChangesMapping", "delete"),
)


class Work(NamedTuple):
    """Batches of events to send, from the first on. `started_ms`: as of `Workload`."""

    events: Workload
    started_ms: int
    batches: int


class Brief:
    """Runs the three steps on one stack. `events`: a multiple of 2,500; `warm_up_events`: of 500."""

    def __init__(
        self, target: Target, pid_of_sender: int, events: int, say: Say, warm_up_events: int = WARM_UP_EVENTS
    ) -> None:
        self._target, self._say = target, say
        self._stages = StageProcesses(target.stack, {"client": pid_of_sender, "watching": os.getpid()})
        self._events, self._warm_up_events = events, warm_up_events

    def over_http(self, generator: LoadGenerator, connections: int = CONNECTIONS) -> dict[str, Any]:
        """The figures of each step, sent by so many connections in requests of 500 events or 1,000 operations."""

        def send(step: Step, work: Work) -> float:
            return generator.run(_job_of(self._target, step, work, connections)).began

        return self._run_all(send)

    def straight_at_kafka(self, producer: Subject, folder: Path) -> dict[str, Any]:
        """The same with records that were made ready before the clock runs; a file in `folder` holds them."""
        bootstrap, path = self._target.connection.kafka, folder / "records"
        folder.mkdir(parents=True, exist_ok=True)

        def send(step: Step, work: Work) -> float:
            write_records(path, records_of(step, work))
            return float(producer.run(bootstrap=bootstrap, topic=step.topic, file=str(path))["began"])

        return self._run_all(send)

    def _run_all(self, send: Callable[[Step, Work], float]) -> dict[str, Any]:
        for _ in range(WARM_UPS):
            send(STEPS[0], mint_work(self._warm_up_events))  # workers start, as many as are busy at once
            self._target.wait_until_delivered()
        already, work = self._target.read_contents(), mint_work(self._events)
        return {step.figure: self._run(step, work, send, already) for step in STEPS}

    def _run(self, step: Step, work: Work, send: Callable[[Step, Work], float], already: Expectation) -> dict[str, Any]:
        target = self._target
        operations = len(step.chosen.indexes(EVENTS_PER_REQUEST)) * work.batches
        wanted = work.events.expect(
            work.batches, are_updated=step.kind != "creates", are_deleted=step.kind == "deletes"
        )
        expected = Expectation(already.events + wanted.events, already.checksum + wanted.checksum)
        before, delivered = self._stages.read(), target.committed(step.mapping)
        began = send(step, work)
        sent = time.monotonic()
        target.wait_until_committed(step.mapping, delivered + operations)
        seconds = target.wait_until_exact(expected) - began
        target.wait_until_delivered()
        stages = micros_per_event(cpu_seconds_between(before, self._stages.read()), operations)
        self._say(f"{operations:,} {step.kind}: {seconds:.1f} s until visible and exact, {operations / seconds:,.0f}/s")
        return {
            "operations": operations,
            "seconds": round(seconds, 2),
            "sent_after_s": round(sent - began, 2),
            "per_s": round(operations / seconds),
            "live_events": wanted.events,
            "cpu_us_per_operation": {**stages, "sum": sum_of(stages)},
        }


def mint_work(events: int) -> Work:
    """Work whose ids nobody has had before: two in one millisecond would be the same."""
    started_ms = time.time_ns() // 1_000_000
    return Work(Workload(DEFAULT_SHAPE, EVENTS_PER_REQUEST, started_ms), started_ms, events // EVENTS_PER_REQUEST)


def records_of(step: Step, work: Work) -> Iterator[list[Prepared]]:
    """What ingest would have made of the requests."""
    if step.kind == "creates":
        planned = (plan_items(work.events.events(batch), _accepted_now()) for batch in range(work.batches))
    else:
        make = work.events.updates if step.kind == "updates" else work.events.deletes
        bodies = in_groups(iter(range(work.batches)), BATCHES_PER_CHANGE, make)
        split = (split_events(body, "application/json", "operations") for body in bodies)
        planned = (plan_operations(operations, _accepted_now()) for operations in split)
    return map(_prepared, planned)


def _job_of(target: Target, step: Step, work: Work, connections: int) -> Job:
    return Job(
        api_url=target.connection.api_url,
        key=target.connection.write_key,
        started_ms=work.started_ms,
        shape=DEFAULT_SHAPE.name,
        events_per_request=EVENTS_PER_REQUEST,
        kind=step.kind,
        batches=work.batches,
        connections=connections,
    )


def _accepted_now() -> Acceptance:
    return Acceptance(time.time_ns() // 1_000, secrets.token_bytes)


def _prepared(items: Sequence[Item]) -> list[Prepared]:
    records = [item.record for item in items if item.record is not None]
    return [Prepared(record.key, record.value, record.timestamp_ms) for record in records]
