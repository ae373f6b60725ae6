"""How figures are made of what was measured."""

import io
from typing import Any

import pytest
from rich.console import Console

from scripts.bench import markdown
from scripts.bench.figures import growth_per_second, quantiles_of, ratios_of, spread_of
from scripts.bench.holding import Held
from scripts.bench.processes import Snapshot, Usage, cpu_seconds_between, micros_per_event, role_of
from scripts.bench.report import flatten, print_tables
from scripts.bench.sections import SECTIONS, headline
from scripts.bench.sender import Result
from scripts.bench.stages import LOOPS, describe_stages, in_turn
from scripts.bench.sustained import next_rate


def held(offered: float, events: int, backlog: list[tuple[float, float]]) -> Held:
    result = Result(10, events, 0.0, 10.0, [5.0], {})
    return Held(offered, result, {"load": backlog}, [], {}, 0.0, 0.0, 0.0)


def test_a_spread_is_a_median_with_its_extremes() -> None:
    assert spread_of([3, 1, 2]) == {"median": 2, "min": 1, "max": 3, "runs": 3}
    assert ratios_of([3, 1], [2, 2]) == {"median": 1.0, "min": 0.5, "max": 1.5, "runs": 2}


def test_quantiles_of_little_are_what_there_is() -> None:
    assert quantiles_of([]) == {"p50": 0.0, "p99": 0.0}
    assert quantiles_of([7.0]) == {"p50": 7.0, "p99": 7.0}
    assert quantiles_of(list(range(101))) == {"p50": 50, "p99": 99.0}


def test_growth_is_the_slope() -> None:
    assert growth_per_second([(0.0, 5.0), (1.0, 25.0), (2.0, 45.0)]) == pytest.approx(20)
    assert growth_per_second([(1.0, 5.0), (1.0, 9.0)]) == 0


@pytest.mark.parametrize(
    ("events", "backlog", "is_held"),
    [
        (10_000, [(second, 900.0) for second in range(10)], True),
        (9_700, [], False),  # less was accepted than offered
        (10_000, [(second, 200.0 * second) for second in range(10)], False),  # 200/s more each second
        (10_000, [(second, 5_000.0 if second < 2 else 500.0) for second in range(10)], True),  # only at first
    ],
)
def test_held_is_what_is_accepted_as_offered_and_delivered_as_fast(
    events: int, backlog: list[tuple[float, float]], is_held: bool
) -> None:
    assert held(1_000, events, backlog).is_held is is_held


def test_the_next_rate_lies_above_what_is_held_or_between() -> None:
    assert next_rate(100, 0) == 125
    assert next_rate(0, 100) == 80
    assert next_rate(100, 120) == 110


def test_cpu_time_is_what_was_used_meanwhile_by_whoever_is_there() -> None:
    before = Snapshot({"load": {1: Usage(5.0, 0)}})
    after = Snapshot({"load": {1: Usage(6.0, 0), 2: Usage(0.5, 0)}, "idle": {3: Usage(0.0, 0)}})

    spent = cpu_seconds_between(before, after)

    assert spent == {"load": 1.5, "idle": 0.0}
    assert micros_per_event(spent, 1_000_000) == {"load": 1.5}


def test_the_role_of_a_function_is_its_folder() -> None:
    assert role_of("tallystream-IngestFunction-1A2B3C") == "ingest"


def test_ratios_of_stages_are_of_the_same_turn_and_of_the_best_rival() -> None:
    def answers(*seconds: float, **more: float) -> list[dict[str, Any]]:
        return [{"records": 100, "seconds": each, **more} for each in seconds]

    ingest = {name: answers(2.0) for name in ("ingest", "librdkafka_produce", "chalice_ingest", "powertools_ingest")}
    ingest["kafka_python_produce"] = answers(1.0)
    load = {"load": answers(2.0, unpack_seconds=1.0), "bare-insert": answers(1.5), "archive": answers(4.0)}
    loops = {name: answers(10.0, step_seconds=8.0) for name in LOOPS} | {"trigger_and_load": answers(5.0)}
    loops["plain_loop"] = answers(8.0, step_seconds=4.0)

    ratios = describe_stages(ingest, {**load, "gzip": answers(1.0)}, loops)["ratios"]

    assert {name: ratio["median"] for name, ratio in ratios.items()} == {
        "ingest_vs_kafka_python": 0.5,
        "ingest_vs_librdkafka": 1.0,
        "ingest_vs_best_rival": 1.0,
        "load_vs_bare_insert": 0.75,
        "load_vs_best_rival": 4.0,
        "trigger_and_load_vs_best_loop": 1.6,
        "archive_vs_gzip": 0.25,
    }


def test_every_other_turn_is_taken_backwards() -> None:
    assert in_turn(("a", "b"), 0) == ("a", "b")
    assert in_turn(("a", "b"), 1) == ("b", "a")


def test_what_was_not_measured_or_not_held_is_null_at_the_top() -> None:
    not_held = {"sustained": {"500_events_per_request": {"is_held": False, "events_per_s": 9}}}

    assert set(headline({}).values()) == {None}
    assert headline(not_held)["sustained_events_per_s"] is None


def test_groups_of_figures_become_tables() -> None:
    section = {"rate": 12_345, "import_ms": {"load": spread_of([1.0])}, "p": {"p50": 1.0, "p99": 2.0}}

    assert flatten("s", section) == {
        "s": {"rate": "12,345", "p": "p50 1, p99 2"},
        "s: import ms": {"load": "1 (1 to 1)"},
    }


def test_a_document_is_printed_whole() -> None:
    machine = {"processors": 2, "processor": "X", "memory": "1 kB", "python": "3", "load_average": [1.0]}
    document = {"sections": {"s": {"rate": 7}}, "machine": {**machine, "load_average_after": [2.0]}}
    written = io.StringIO()

    print_tables(document, Console(file=written, width=80))

    assert "load average 1.0 before, 2.0 after" in written.getvalue()
    assert "growth" in SECTIONS


def test_each_headline_stands_beside_its_target() -> None:
    machine = {"processors": 2, "processor": "X", "memory": "1 kB", "python": "3", "load_average": [1.0]}
    rate = {
        "is_held": True,
        "events_per_s": 20_500,
        "freshness_ms": {"p50": 1.0, "p99": 2.0},
        "cpu_us_per_event": {"load": 5.0},
    }
    sections = {"sustained": {"500_events_per_request": rate}}
    document = {
        "measured_at": "2026-11-22T00:00:00.000Z",
        **headline(sections),
        "machine": {**machine, "load_average_after": [2.0]},
        "sections": sections,
    }

    described = markdown.describe(document)

    assert set(markdown.TARGETS) == set(headline({}))
    assert "| >= 20,000 | 20,500 |" in described
    assert "| load, µs | 5.00 |" in described
