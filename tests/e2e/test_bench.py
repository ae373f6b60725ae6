"""`make bench` in short: what it sends becomes visible, all of it, and the figures stand where they are looked for."""

import pytest

from scripts.bench.brief import Brief
from scripts.bench.embedded import Target
from scripts.bench.holding import describe_held
from scripts.bench.load_generator import load_generator
from scripts.bench.sections import headline
from scripts.bench.sustained import Pace, Sustained
from tests.conftest import EmbeddedStack


@pytest.fixture
def target(stack: EmbeddedStack) -> Target:
    """What a bench has, a stack on which nothing else happens: other tests' events are loaded, and merged."""
    target = Target(stack.supervisor)
    stack.wait_until_delivered()
    target.store.command("OPTIMIZE TABLE events FINAL")
    return target


def test_a_rate_is_held_and_every_stage_has_its_share(target: Target) -> None:
    rows_before, said = target.count_rows(), []

    with load_generator() as generator:
        held = Sustained(target, generator, Pace(connections=2), said.append).run(100, 1_000, 1.0)

    figures = describe_held(held, 100)
    assert target.count_rows() - rows_before == figures["events"] > 0
    assert {"client", "API endpoint", "broker", "trigger", "engine", "ingest function"} <= held.cpu_seconds.keys()
    assert figures["freshness_samples"] == figures["events"] / 100
    assert 0 < figures["freshness_ms"]["p50"] <= figures["freshness_ms"]["p99"]
    assert figures["cpu_us_per_event"]["sum"] > 0
    assert set(figures["backlog_max"]) == {"LoadEventsMapping", "ArchiveEventsMapping"}
    top = headline({"sustained": {"500_events_per_request": {**figures, "is_held": True}}})
    assert top["sustained_events_per_s"] == figures["events_per_s"]
    assert top["freshness_p99_ms"] == figures["freshness_ms"]["p99"]
    assert "1,000/s" in said[0]


def test_creates_updates_and_deletes_end_visible_and_exact(target: Target) -> None:
    with load_generator() as generator:
        figures = Brief(target, generator.pid, 2_500, lambda _: None, warm_up_events=500).over_http(generator, 2)

    assert {name: (step["operations"], step["live_events"]) for name, step in figures.items()} == {
        "ingest": (2_500, 2_500),
        "update": (1_000, 2_500),
        "delete": (1_000, 1_500),
    }
    top = headline({"brief": {"over_http": figures}})
    assert all(top[key] > 0 for key in ("ingest_500k_s", "update_200k_s", "delete_200k_s"))
