"""How the figures change: with partitions, with the size of events, with embeddings, and after two million events.

Each is sent as fast as it goes for some seconds; what counts is the time until all of it is visible.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC
from local_runtime import tansu
from local_runtime.assembly import Tallystream
from local_runtime.connection import Connection
from local_runtime.settings import LocalSettings
from local_runtime.stack import Report
from scripts.bench.brief import STEPS, mint_work, records_of
from scripts.bench.embedded import Say, Target, measured_stack
from scripts.bench.holding import Held, describe_held
from scripts.bench.load_generator import load_generator
from scripts.bench.processes import StageProcesses
from scripts.bench.rivals.record_files import write_records
from scripts.bench.subjects import rival_command, running
from scripts.bench.sustained import Pace, Sustained
from scripts.bench.workload import DEFAULT_SHAPE, SHAPES, Shape

EVENTS_PER_REQUEST: Final = 500
REQUEST_BYTES_MAX: Final = 4_000_000
EVENTS_PER_TURN: Final = 100_000


class Growing(NamedTuple):
    """How far. `memory_events`: a multiple of 2,500."""

    partitions: tuple[int, ...] = (8, 16, 32)
    shapes: tuple[str, ...] = tuple(SHAPES)
    memory_events: int = 2_000_000


class Partitioned(Tallystream):
    """Tallystream on topics with so many partitions."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self._partitions = partitions

    def prepare(self, settings: LocalSettings, boot_id: str, report: Report) -> Connection:
        """As `Blueprint.prepare`; topics that are there are left as they are."""
        tansu.create_topics(
            settings.kafka_bootstrap, dict.fromkeys((EVENTS_TOPIC, EVENT_CHANGES_TOPIC), self._partitions)
        )
        return super().prepare(settings, boot_id, report)


class Growth:
    """Measures stacks of its own, one after the other, in `folder`."""

    def __init__(self, settings: LocalSettings, folder: Path, pace: Pace, say: Say) -> None:
        self._settings, self._folder, self._pace, self._say = settings, folder, pace, say

    def measure(self, growing: Growing) -> dict[str, Any]:
        """All of it."""
        return {
            "partitions": {str(count): self._flat_out(DEFAULT_SHAPE, count) for count in growing.partitions},
            "event_size": {name: self._flat_out(SHAPES[name]) for name in growing.shapes},
            "memory_mb": self._memory(growing.memory_events),
        }

    def _flat_out(self, shape: Shape, partitions: int = 8) -> dict[str, Any]:
        stack = measured_stack(self._settings, self._folder, self._say, Partitioned(partitions))
        with stack as target, load_generator() as generator:
            sustained = Sustained(target, generator, self._pace, self._say, shape)
            size = sustained.events_per_request_max(EVENTS_PER_REQUEST, REQUEST_BYTES_MAX)
            sustained.warm_up(size)
            held = sustained.run(size, 0.0, self._pace.flood_seconds)
        return describe_flat_out(held, size)

    def _memory(self, events: int) -> dict[str, Any]:
        stack = measured_stack(self._settings, self._folder, self._say)
        with stack as target, running("librdkafka", rival_command("librdkafka_produce")) as producer:
            stages = StageProcesses(target.stack, {"client": producer.pid})
            before = stages.read().resident_mb()
            self._fill(target, events, producer.run)
            after = stages.read().resident_mb()
        return {
            "events": events,
            "before": {stage: round(mb) for stage, mb in before.items()},
            "after": {stage: round(mb) for stage, mb in after.items()},
        }

    def _fill(self, target: Target, events: int, produce: Callable[..., Any]) -> None:
        """So many events straight at Kafka, in portions that are delivered one after the other."""
        path = self._folder / "records"
        delivered = target.committed(STEPS[0].mapping)
        for done in range(0, events, EVENTS_PER_TURN):
            portion = min(EVENTS_PER_TURN, events - done)
            write_records(path, records_of(STEPS[0], mint_work(portion)))
            produce(bootstrap=target.connection.kafka, topic=EVENTS_TOPIC, file=str(path))
            target.wait_until_committed(STEPS[0].mapping, delivered + done + portion)
        target.wait_until_delivered()


def describe_flat_out(held: Held, events_per_request: int) -> dict[str, Any]:
    """What was accepted, and what became visible, each second, and where the CPU time went."""
    described = describe_held(held, events_per_request)
    seconds = held.result.seconds + held.visible_after
    return {
        "events_per_request": events_per_request,
        "accepted_per_s": round(held.rate),
        "visible_per_s": round(held.result.events / seconds),
        "cpu_us_per_event": described["cpu_us_per_event"],
    }
