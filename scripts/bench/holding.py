"""One rate for some time: what came of it, whether it can go on, and where the CPU time went."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from local_runtime import lag
from scripts.bench.figures import growth_per_second, quantiles_of, sum_of
from scripts.bench.processes import TICKS_PER_SECOND, micros_per_event
from scripts.bench.sender import Result

ACCEPTED_SHARE_MIN: Final = 0.98
GROWTH_SECONDS_MAX: Final = 1.0  # of events, while it is held: batches of load and archive fill for as long
WARM_UP_SHARE: Final = 0.25  # of the time: batches fill, workers start
EVENT_MAPPINGS: Final = ("LoadEventsMapping", "ArchiveEventsMapping")

Points = list[tuple[float, float]]


class Held(NamedTuple):
    """What happened at one rate. `offered` 0: as fast as it went.

    `backlogs`: by mapping, (seconds of the monotonic clock, events accepted and not delivered).
    `visible_after`, `archived_after`: seconds from the last 202 until everything was.
    """

    offered: float
    result: Result
    backlogs: Mapping[str, Points]
    freshness_ms: list[float]
    cpu_seconds: Mapping[str, float]
    machine_cpu_seconds: float
    visible_after: float
    archived_after: float

    @property
    def rate(self) -> float:
        """Accepted a second."""
        return self.result.events / self.result.seconds

    @property
    def growth(self) -> float:
        """By how many events a second the fastest growing backlog grew after the warm-up; at least 0."""
        begin, end = self.result.began + WARM_UP_SHARE * self.result.seconds, self.result.ended
        settled = ([point for point in points if begin <= point[0] <= end] for points in self.backlogs.values())
        return max(0.0, *map(growth_per_second, settled))

    @property
    def is_held(self) -> bool:
        """Whether this rate can go on."""
        grew_by = self.growth * (1 - WARM_UP_SHARE) * self.result.seconds
        return self.rate >= ACCEPTED_SHARE_MIN * self.offered and grew_by <= GROWTH_SECONDS_MAX * self.offered


class BacklogWatch:
    """Notes, whenever the sender says how far it is, how far each mapping is behind."""

    def __init__(self, status_url: str) -> None:
        self.points: dict[str, Points] = {}
        self._status_url = status_url
        self._before = lag.read_committed(status_url)

    def note(self, accepted: int) -> None:
        """So many events were accepted by now."""
        now = time.monotonic()
        for name, committed in lag.read_committed(self._status_url).items():
            if name in EVENT_MAPPINGS:
                behind = accepted - (committed - self._before.get(name, 0))
                self.points.setdefault(name, []).append((now, behind))


def machine_cpu_seconds() -> float:
    """CPU time of everything on this machine since it started; 0 where the system does not say."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, *_ = map(int, first.split()[1:])
    return (user + nice + system + interrupts + soft_interrupts) / TICKS_PER_SECOND


def describe_held(held: Held, events_per_request: int) -> dict[str, Any]:
    """The figures of a rate that was held."""
    stages = micros_per_event(held.cpu_seconds, held.result.events)
    others = max(0.0, held.machine_cpu_seconds - sum(held.cpu_seconds.values()))
    return {
        "events_per_request": events_per_request,
        "is_held": held.is_held,
        "seconds": round(held.result.seconds, 1),
        "events": held.result.events,
        "events_per_s": round(held.rate),
        "backlog_growth_per_s": round(held.growth),
        "backlog_max": {name: round(max(behind for _, behind in points)) for name, points in held.backlogs.items()},
        "request_ms": quantiles_of(held.result.request_ms),
        "freshness_ms": quantiles_of(held.freshness_ms),
        "freshness_samples": len(held.freshness_ms),
        "visible_after_s": round(held.visible_after, 2),
        "archived_after_s": round(held.archived_after, 2),
        "cpu_us_per_event": {**stages, "sum": sum_of(stages)},
        "other_programs_cpu_s": round(others, 1),
    }


def describe_step(held: Held) -> str:
    """One line about a rate that was tried."""
    offered = f"{held.offered:,.0f}/s" if held.offered else "as fast as it goes"
    verdict = "held" if held.is_held else "not held"
    return (
        f"{offered}: accepted {held.rate:,.0f}/s for {held.result.seconds:.0f} s, backlog +{held.growth:,.0f}/s, "
        f"freshness p99 {quantiles_of(held.freshness_ms)['p99']:,.0f} ms: {verdict if held.offered else 'a guess'}"
    )
