"""The benchmark of the questions in small: the same statements, the same questions, two weeks of 20,000 events."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.questions.catalog import BY_NAME
from event_analytics.windows import format_instant
from local_runtime.settings import LocalSettings
from scripts.bench_query import building
from scripts.bench_query.__main__ import measure
from scripts.bench_query.asked import Samples, list_questions, read_samples
from scripts.bench_query.generation import EMBEDDED_ONE_IN, END, Scale
from scripts.bench_query.report import write
from scripts.bench_query.server import serving

SMALL = Scale(rows=20_000, weeks=2)
FIRST_BUILD: list[int] = []
TARGETS = [100, 100, 180, 80, 250, 40, 40, 40]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEventStore]:
    settings = LocalSettings.from_env({})
    with serving(settings, tmp_path_factory.mktemp("bench"), lambda _text: None) as store:
        building.build(store, SMALL, FIRST_BUILD.append)
        yield store


def count(store: ClickHouseEventStore, sql: str) -> int:
    return int(next(iter(store.select(sql, {})[0].values())))


def test_all_events_are_made_up_once_and_some_are_written_again(store: ClickHouseEventStore) -> None:
    deleted = count(store, "SELECT uniqExact(id) AS n FROM events WHERE is_deleted = 1")
    rows = count(store, "SELECT count() AS n FROM events WHERE timestamp >= '2026-11-16'")

    assert sum(FIRST_BUILD) == SMALL.rows
    assert 50 < deleted < 150
    assert count(store, "SELECT count() AS n FROM events FINAL") == SMALL.rows - deleted
    assert count(store, "SELECT count() AS n FROM events FINAL WHERE timestamp >= '2026-11-16'") < rows
    assert 0.04 < count(store, "SELECT countIf(error != '') AS n FROM events FINAL") / SMALL.rows < 0.06


def test_closed_weeks_are_one_part_each(store: ClickHouseEventStore) -> None:
    parts = store.select(
        "SELECT partition, count() AS parts FROM system.parts WHERE active AND table = 'events' GROUP BY 1 ORDER BY 1",
        {},
    )

    assert [row["parts"] for row in parts[:-1]] == [1] * SMALL.weeks


def test_a_second_build_makes_up_nothing(store: ClickHouseEventStore) -> None:
    before = count(store, "SELECT count() AS n FROM events")
    building.build(store, SMALL, lambda _rows: None)

    assert count(store, "SELECT count() AS n FROM events") == before


def test_a_build_that_was_stopped_goes_on_and_counts_nothing_twice(store: ClickHouseEventStore) -> None:
    before = count(store, "SELECT count() AS n FROM events FINAL")
    store.command("DELETE FROM bench_journal WHERE step LIKE 'rows %' OR step LIKE 'again %'")
    building.build(store, SMALL, lambda _rows: None)

    assert count(store, "SELECT count() AS n FROM events FINAL") == before


def test_tables_of_another_generation_are_left_alone(store: ClickHouseEventStore, monkeypatch) -> None:
    monkeypatch.setattr(building, "_VERSION", "generation 0")

    with pytest.raises(building.OtherGeneration):
        building.build(store, SMALL, lambda _rows: None)


def test_every_question_is_asked_and_its_figures_are_kept(store: ClickHouseEventStore, tmp_path: Path) -> None:
    lines: list[str] = []
    document = measure(store, SMALL, 2, lines.append)
    write(document, tmp_path / "build" / "bench.json")

    asked = {timed.question for timed in list_questions(SMALL, read_samples(store, SMALL, 1))}
    questions = document["questions"]
    assert json.loads((tmp_path / "build" / "bench.json").read_text()) == document
    assert asked == set(BY_NAME) - {"similar-events"}  # of whose smallest size there are not enough
    assert [question["target_ms"] for question in questions if question["target_ms"]] == TARGETS
    assert all(question["rows_read"] > 0 and question["engine_ms"]["p50"] > 0 for question in questions)
    assert all(question["name"] in line for question, line in zip(questions, lines[1:], strict=False))
    assert document["machine"]["processors"] > 0


def test_similar_events_are_looked_for_among_as_many_as_the_report_says(store: ClickHouseEventStore) -> None:
    scale = Scale(rows=50_000 * EMBEDDED_ONE_IN, weeks=2)  # a million, of which the store has a fiftieth
    timed = next(timed for timed in list_questions(scale, Samples(("c",), ("i",), ("j",))) if "50,000" in timed.name)
    window = json.loads(timed.request(0).body or "")

    assert (window["start"], window["end"]) == (format_instant(scale.begin), format_instant(END))
