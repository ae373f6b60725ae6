"""The highest rate that the whole path holds over HTTP, with the archive running.

First as fast as it goes, for a guess; then steps around it; then the rate is held. Held is what was accepted as
offered while the backlog, events accepted and not loaded or archived yet, did not grow.
"""

import os
import time
from typing import Any, Final, NamedTuple

from scripts.bench.embedded import Say, Target
from scripts.bench.freshness import watching
from scripts.bench.holding import BacklogWatch, Held, describe_step, machine_cpu_seconds
from scripts.bench.load_generator import LoadGenerator
from scripts.bench.processes import StageProcesses, cpu_seconds_between
from scripts.bench.sender import Job
from scripts.bench.workload import DEFAULT_SHAPE, Shape, Workload

SAMPLES_PER_SECOND: Final = 10
STEP_UP, STEP_DOWN = 1.25, 0.8
STEPS_MAX: Final = 3
HOLD_DOWN: Final = 0.88  # what is held for seconds is sometimes not held for a minute
HOLDS_MAX: Final = 3
WARM_UP_SECONDS: Final = 2.0
WARM_UPS_MAX: Final = 4
INGEST_STAGE: Final = "ingest function"


class Pace(NamedTuple):
    """How long each part takes, seconds, and over how many connections requests come in."""

    flood_seconds: float = 6.0
    step_seconds: float = 6.0
    hold_seconds: float = 60.0
    connections: int = 4


class Sustained:
    """Measures one stack."""

    def __init__(
        self, target: Target, generator: LoadGenerator, pace: Pace, say: Say, shape: Shape = DEFAULT_SHAPE
    ) -> None:
        self._target, self._generator, self._pace, self._say, self._shape = target, generator, pace, say, shape
        self._stages = StageProcesses(target.stack, {"client": generator.pid, "watching": os.getpid()})
        self._started_ms = time.time_ns() // 1_000_000
        self._batches = 0

    def find_rate(self, events_per_request: int, guess: float = 0.0) -> float:
        """The highest rate held for a step with requests of this size; where none was, one below all that were tried.

        `guess`: to begin with, events a second; 0 floods first.
        """
        rate = guess or self._flood(events_per_request)
        held, not_held = 0.0, 0.0
        for _ in range(STEPS_MAX):
            if self.run(events_per_request, rate, self._pace.step_seconds).is_held:
                held = rate
            else:
                not_held = rate
            rate = next_rate(held, not_held)
        return held or rate

    def hold(self, events_per_request: int, rate: float) -> Held:
        """The rate, for as long as counts."""
        return self.run(events_per_request, rate, self._pace.hold_seconds)

    def events_per_request_max(self, events: int, body_bytes_max: int) -> int:
        """So many events of this shape, or as many hundreds as a body takes."""
        sample = len(Workload(self._shape, 100, self._started_ms).creates(0)) / 100
        return events if sample * events <= body_bytes_max else int(body_bytes_max / sample / 100) * 100

    def warm_up(self, events_per_request: int) -> None:
        """Send until every connection has met a worker that runs: a cold start is measured elsewhere."""
        for _ in range(WARM_UPS_MAX):
            self.run(events_per_request, 0.0, WARM_UP_SECONDS)
            if len(self._stages.read().by_stage.get(INGEST_STAGE, ())) >= self._pace.connections:
                return

    def _flood(self, events_per_request: int) -> float:
        flood = self.run(events_per_request, 0.0, self._pace.flood_seconds)
        return flood.result.events / (flood.result.seconds + max(flood.visible_after, flood.archived_after))

    def run(self, events_per_request: int, rate: float, seconds: float) -> Held:
        """One rate for so long; 0 is as fast as it goes. Returns once everything is visible and archived."""
        target = self._target
        rows_before, cpu_before, machine_before = target.count_rows(), self._stages.read(), machine_cpu_seconds()
        backlog = BacklogWatch(target.connection.trigger_status_url)
        with watching(target.store) as watch:

            def hear(said: dict[str, Any]) -> None:
                if "id" in said:
                    watch.seek(said["id"], said["at"])
                else:
                    backlog.note(said["events"])

            result = self._generator.run(self._job(events_per_request, rate, seconds), hear)
            self._batches += result.requests
            visible_at = target.wait_until_rows(rows_before + result.events)
        archived_at = target.wait_until_delivered()
        spent = cpu_seconds_between(cpu_before, self._stages.read())
        held = Held(
            offered=rate,
            result=result,
            backlogs=backlog.points,
            freshness_ms=watch.delays_ms,
            cpu_seconds=spent,
            machine_cpu_seconds=machine_cpu_seconds() - machine_before,
            visible_after=visible_at - result.ended,
            archived_after=archived_at - result.ended,
        )
        self._say(describe_step(held))
        return held

    def _job(self, events_per_request: int, rate: float, seconds: float) -> Job:
        requests_per_second = (rate or 20_000) / events_per_request
        connection = self._target.connection
        return Job(
            api_url=connection.api_url,
            key=connection.write_key,
            started_ms=self._started_ms,
            shape=self._shape.name,
            events_per_request=events_per_request,
            first=self._batches,
            seconds=seconds,
            events_per_second=rate,
            connections=self._pace.connections,
            sample_one_in=max(1, round(requests_per_second / SAMPLES_PER_SECOND)),
        )


def next_rate(held: float, not_held: float) -> float:
    """What to try after the highest rate that was held and the lowest that was not; 0 for none."""
    if not not_held:
        return held * STEP_UP
    return (held + not_held) / 2 if held else not_held * STEP_DOWN
