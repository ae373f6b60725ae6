"""Which hours are counted when, and how much at once; what an hour is. The engine's part is tested in integration."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from event_analytics.errors import StoreUnavailable
from event_analytics.hour_marks import HOUR_SECONDS, hours_of, mark_hours
from event_analytics.rollup_building import BATCH_HOURS_MAX, CLOSED_AFTER_SECONDS, RUN_SECONDS_MAX, build_rollups
from event_analytics.rollup_query import full_hours, rollup_parameters
from event_analytics.windows import Window
from tests.builders import ACCEPTED_US
from tests.fakes import FakeEventStore

HOUR = ACCEPTED_US // 1_000_000 // HOUR_SECONDS * HOUR_SECONDS
NOW = HOUR + HOUR_SECONDS + CLOSED_AFTER_SECONDS


class DirtyStore(FakeEventStore):
    """Has dirty hours without end, newest first, and a clock: each statement of a build takes its time."""

    def __init__(self, seconds: float, dirty: int = 10_000) -> None:
        super().__init__()
        self.now = float(NOW)
        self.seconds = seconds
        self.hours = [HOUR - number * HOUR_SECONDS for number in range(dirty)]
        self.counted: list[list[int]] = []

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "before" not in parameters:
            return super().select(sql, parameters)
        found = [hour for hour in self.hours if hour < parameters["before"]][: parameters["limit"]]
        return [{"starts_at": hour, "marks": 1, "digest": 2**64 - 1} for hour in found]

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        super().execute(sql, parameters)
        self.now += self.seconds / 5
        if "user_hours (" in sql:
            self.counted.append(list(parameters["hours"]))

    def clock(self) -> float:
        return self.now


def test_every_dirty_hour_is_counted_once_newest_first() -> None:
    store = DirtyStore(0.1, dirty=20)

    report = build_rollups(store, store.clock, uuid.uuid4)

    assert [hour for hours in store.counted for hour in hours] == store.hours
    assert report.counted == 20


def test_batches_double_while_they_are_quick() -> None:
    store = DirtyStore(0.1, dirty=500)

    build_rollups(store, store.clock, uuid.uuid4)

    sizes = [len(hours) for hours in store.counted]
    assert sizes[:8] == [1, 2, 4, 8, 16, 32, 64, BATCH_HOURS_MAX]


def test_slow_batches_become_small_and_the_run_ends_in_time() -> None:
    store = DirtyStore(4.0)

    build_rollups(store, store.clock, uuid.uuid4)

    assert [len(hours) for hours in store.counted] == [1, 1, 1]
    assert store.now - NOW < RUN_SECONDS_MAX + 4


def test_each_batch_is_a_generation_of_its_own() -> None:
    store = DirtyStore(0.1, dirty=7)

    build_rollups(store, store.clock, uuid.uuid4)

    assert len({parameters["generation"] for _, parameters in store.asked if "generation" in parameters}) == 3


@pytest.mark.parametrize(("seconds", "is_closed"), [(0, True), (-1, False)])
def test_an_hour_is_closed_some_minutes_after_its_end(seconds: int, is_closed: bool) -> None:
    store = DirtyStore(0.1, dirty=1)
    store.now += seconds

    assert build_rollups(store, store.clock, uuid.uuid4).counted == is_closed


def test_a_store_that_is_down_ends_the_run() -> None:
    store = DirtyStore(0.1)
    store.is_down = True

    with pytest.raises(StoreUnavailable):
        build_rollups(store, store.clock, uuid.uuid4)


def test_marking_no_hour_asks_nothing_and_one_hour_is_marked_once() -> None:
    store = FakeEventStore()
    mark_hours(store, [])
    assert store.asked == []

    mark_hours(store, [HOUR, HOUR, 0])
    assert [parameters for _, parameters in store.asked] == [{"hours": [0, HOUR]}]


def test_an_hour_begins_at_its_first_instant() -> None:
    instant = datetime.fromtimestamp(HOUR, tz=UTC)
    offsets = timedelta(), timedelta(minutes=59, seconds=59, microseconds=999_999)

    assert hours_of(SimpleNamespace(timestamp=instant + offset) for offset in offsets) == {HOUR}
    assert hours_of([SimpleNamespace(timestamp=instant - timedelta(microseconds=1))]) == {HOUR - HOUR_SECONDS}


@pytest.mark.parametrize(
    ("start_s", "end_s", "full", "touched"),
    [
        (0, 3 * HOUR_SECONDS, (0, 3), (0, 3)),
        (0.001, 3 * HOUR_SECONDS - 0.001, (1, 2), (0, 3)),
        (10, 20, (1, 0), (0, 1)),
        (-0.001, HOUR_SECONDS + 0.001, (0, 1), (-1, 2)),
    ],
)
def test_full_hours_of_a_window_and_the_hours_it_touches(
    start_s: float, end_s: float, full: tuple[int, int], touched: tuple[int, int]
) -> None:
    start = datetime.fromtimestamp(HOUR, tz=UTC)
    window = Window(start + timedelta(seconds=start_s), start + timedelta(seconds=end_s))

    parameters = {name: (value - HOUR) // HOUR_SECONDS for name, value in rollup_parameters(window).items()}

    assert (parameters["first_hour"], parameters["end_hour"]) == full
    assert (parameters["from_hour"], parameters["to_hour"]) == touched
    assert full_hours(window) == max(full[1] - full[0], 0)
