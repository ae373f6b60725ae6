"""Runs the steps that make up the tables, each once: a journal among the tables says which are done.

A run that was stopped goes on with the step that it was at, which writes the same rows again: they count once.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final
from uuid import uuid4

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.hour_marks import HOUR_SECONDS, mark_hours
from event_analytics.rollup_building import build_rollups
from scripts.bench_query.generation import (
    END,
    GENERATION,
    Scale,
    Step,
    plan_embeddings,
    plan_events,
    plan_merges,
)
from scripts.failures import ScriptFailed

_CREATE_JOURNAL: Final = "CREATE TABLE IF NOT EXISTS bench_journal (step String) ENGINE = MergeTree ORDER BY step"
_READ_JOURNAL: Final = "SELECT DISTINCT step FROM bench_journal"
_WRITE_JOURNAL: Final = "INSERT INTO bench_journal SELECT {step:String}"
# What the age of a part would do is done by name: all parts are young, and the open week is to stay as it is.
_KEEP_PARTS: Final = "ALTER TABLE events MODIFY SETTING min_age_to_force_merge_seconds = 0"
_VERSION: Final = f"generation {GENERATION}"
_MARKS: Final = "marks"

Advance = Callable[[int], None]


class OtherGeneration(ScriptFailed):
    """The tables were made up by another version of this program."""


def build(store: ClickHouseEventStore, scale: Scale, advance: Advance) -> None:
    """Return once everything is there. `advance` hears of rows that were made up.

    Raises:
        OtherGeneration: nothing was changed.
        StoreUnavailable: what is done is done; a second run goes on.
    """
    store.command(_CREATE_JOURNAL)
    done = {row["step"] for row in store.select(_READ_JOURNAL, {})}
    if done and _VERSION not in done:
        raise OtherGeneration("the tables are of another version: remove their folder, and they are made up anew")
    if not done:
        store.command(_KEEP_PARTS)
        _write(store, _VERSION)
    for step in _steps(scale):
        if step.name not in done:
            _run(store, step)
            _write(store, step.name)
        if step.rows:
            advance(step.rows)
    if _MARKS not in done:
        mark_hours(store, range(int(scale.begin.timestamp()), int(END.timestamp()), HOUR_SECONDS))
        _write(store, _MARKS)
    roll_up(store)


def _steps(scale: Scale) -> Iterator[Step]:
    yield from plan_events(scale)
    yield from plan_embeddings(scale)
    yield plan_merges(scale)


def _run(store: ClickHouseEventStore, step: Step) -> None:
    for statement in step.statements:
        store.execute(statement.sql, statement.parameters)


def _write(store: ClickHouseEventStore, step: str) -> None:
    store.execute(_WRITE_JOURNAL, {"step": step})


def roll_up(store: ClickHouseEventStore) -> None:
    """Count all closed hours that no rollup holds for, as the job of `report` does, at the clock of the events."""
    began = time.monotonic()
    while any(build_rollups(store, lambda: END.timestamp() + time.monotonic() - began, uuid4)):
        pass
