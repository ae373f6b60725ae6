"""The sections of the bench: what each needs around it, and the keys under which its figures stand at the top."""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from event_analytics.windows import format_instant
from local_runtime.settings import LocalSettings
from scripts.bench.brief import EVENTS, Brief
from scripts.bench.embedded import Say, measured_stack
from scripts.bench.growth import Growing, Growth
from scripts.bench.holding import describe_held
from scripts.bench.load_generator import load_generator
from scripts.bench.packages import measure_packages
from scripts.bench.stages import Amount, Stages
from scripts.bench.subjects import rival_command, running
from scripts.bench.sustained import HOLD_DOWN, HOLDS_MAX, Pace, Sustained
from scripts.bench_query.report import describe_machine

REQUEST_SIZES: Final = (500, 1_000)
_LOOPS: Final = 25
_LOOP_STEPS: Final = 100_000  # some milliseconds


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is measured. `brief_events`: a multiple of 2,500; `holds`: how often a lower rate is tried."""

    pace: Pace = dataclasses.field(default_factory=Pace)
    brief_events: int = EVENTS
    amount: Amount = dataclasses.field(default_factory=Amount)
    growing: Growing = dataclasses.field(default_factory=Growing)
    holds: int = HOLDS_MAX

    @classmethod
    def short(cls) -> "Scale":
        """So little that it takes seconds."""
        return cls(Pace(0.5, 0.5, 1.0, 2), 5_000, Amount(2_500, 1, 2_500, 2_500, 1), Growing((8,), (), 2_500), holds=1)


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all sections share."""

    settings: LocalSettings
    folder: Path
    scale: Scale
    say: Say

    def stack(self) -> Any:
        """A fresh stack, as a context."""
        return measured_stack(self.settings, self.folder, self.say)


def measure_sustained(bench: Bench) -> dict[str, Any]:
    """The highest rate held, with requests of either size. What is held counts from nothing: a stack for each try."""
    rates: dict[str, Any] = {}
    guess = 0.0
    for size in REQUEST_SIZES:
        with _warmed_up(bench, size) as sustained:
            rate = sustained.find_rate(size, guess)
        for _ in range(bench.scale.holds):
            with _warmed_up(bench, size) as sustained:
                held = sustained.hold(size, rate)
            if held.is_held:
                break
            rate *= HOLD_DOWN
        rates[f"{size}_events_per_request"] = found = describe_held(held, size)
        guess = found["events_per_s"]
    return rates


@contextmanager
def _warmed_up(bench: Bench, size: int) -> Iterator[Sustained]:
    """A stack of its own: the embedded broker slows with what it has taken."""
    with bench.stack() as target, load_generator() as generator:
        sustained = Sustained(target, generator, bench.scale.pace, bench.say)
        sustained.warm_up(size)
        yield sustained


def measure_brief(bench: Bench) -> dict[str, Any]:
    """The brief's three steps, over HTTP and straight at Kafka, each on a stack that holds nothing."""
    events = bench.scale.brief_events
    with bench.stack() as target, load_generator() as generator:
        over_http = Brief(target, generator.pid, events, bench.say).over_http(generator)
    with ExitStack() as around:
        target = around.enter_context(bench.stack())
        producer = around.enter_context(running("librdkafka", rival_command("librdkafka_produce")))
        straight = Brief(target, producer.pid, events, bench.say).straight_at_kafka(producer, bench.folder / "files")
    return {"over_http": over_http, "straight_at_kafka": straight}


def measure_stages(bench: Bench) -> dict[str, Any]:
    """Each stage beside its limit and beside its rivals."""
    with bench.stack() as target:
        return Stages(target, bench.folder / "files", bench.scale.amount, bench.say).measure()


def measure_cold_start(bench: Bench) -> dict[str, Any]:
    """Packages and imports; needs no stack."""
    return measure_packages(bench.settings)


def measure_growth(bench: Bench) -> dict[str, Any]:
    """Partitions, sizes of events, memory; takes longer than all the others."""
    return Growth(bench.settings, bench.folder, bench.scale.pace, bench.say).measure(bench.scale.growing)


Section = Callable[[Bench], dict[str, Any]]
SECTIONS: Final[Mapping[str, Section]] = {
    "sustained": measure_sustained,
    "brief": measure_brief,
    "stages": measure_stages,
    "packages": measure_cold_start,
    "growth": measure_growth,
}
DEFAULT_SECTIONS: Final = tuple(name for name in SECTIONS if name != "growth")


def measure(bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    """The whole document: the figures that are looked for first, the machine, then each section.

    `machine.loop_ms`: what a fixed loop took before the first section and after each: a machine that is shared is not
    equally fast all the time, and figures of two runs compare only as far as this does.
    """
    machine, measured_at = describe_machine(), format_instant(datetime.now(UTC))
    sections, loops = {}, {"before": time_loop()}
    for name in names:
        bench.say(f"--- {name}")
        sections[name] = SECTIONS[name](bench)
        loops[name] = time_loop()
    after = {"load_average_after": [round(load, 1) for load in os.getloadavg()], "loop_ms": loops}
    return {"measured_at": measured_at, **headline(sections), "machine": {**machine, **after}, "sections": sections}


def time_loop() -> float:
    """Milliseconds of a fixed loop of Python, the median of some: how fast this machine is just now."""
    took = []
    for _ in range(_LOOPS):
        began, total = time.perf_counter(), 0
        for step in range(_LOOP_STEPS):
            total += step * step
        took.append((time.perf_counter() - began) * 1_000)
    return round(statistics.median(took), 2)


def headline(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that targets are set for; None where the section was not measured."""
    rate = best_rate(sections.get("sustained", {}))
    over_http = sections.get("brief", {}).get("over_http", {})
    ratios, packages = sections.get("stages", {}).get("ratios", {}), sections.get("packages", {})
    imports = [spread["median"] for spread in packages.get("import_ms", {}).values()]
    return {
        "sustained_events_per_s": rate.get("events_per_s"),
        "freshness_p99_ms": rate.get("freshness_ms", {}).get("p99"),
        "ingest_500k_s": over_http.get("ingest", {}).get("seconds"),
        "update_200k_s": over_http.get("update", {}).get("seconds"),
        "delete_200k_s": over_http.get("delete", {}).get("seconds"),
        "ingest_vs_kafka_python": ratios.get("ingest_vs_kafka_python"),
        "load_vs_bare_insert": ratios.get("load_vs_bare_insert"),
        "load_vs_best_rival": ratios.get("load_vs_best_rival"),
        "package_zip_mb": packages.get("zip_mb", {}).get("sum"),
        "import_ms": max(imports, default=None),
    }


def best_rate(rates: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of requests of 500 events; empty where they were not measured, or no rate was held."""
    found: Mapping[str, Any] = rates.get("500_events_per_request", {})
    return found if found.get("is_held") else {}
