"""When a rebuild says that everything is loaded."""

from collections.abc import Callable, Iterable

import pytest

from event_analytics.routing import EVENTS_REPLAY_TOPIC
from scripts.failures import GaveUp
from scripts.rebuild import LOAD_REPLAY_GROUP, POLL_SECONDS, STUCK_SECONDS, left_to_load, wait_until_loaded
from tests.fakes import FakeTopicOffsets
from tests.unit.event_analytics.replay_archive import Clock


def then_forever(values: Iterable[int | None]) -> Callable[[], int | None]:
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def wait(left: list[int | None]) -> float:
    clock = Clock()
    started = clock.now()
    wait_until_loaded(then_forever(left), now=clock.now, sleep=clock.sleep)
    return clock.now() - started


def test_is_loaded_when_nothing_is_left() -> None:
    assert wait([9, 4, 0]) == pytest.approx(2 * POLL_SECONDS)
    assert wait([0]) == 0


def test_lag_that_is_not_told_for_a_moment_is_waited_for() -> None:
    assert wait([9, None, None, 4, None, 0]) == pytest.approx(5 * POLL_SECONDS)


def test_a_load_that_is_slow_and_gets_on_is_waited_for() -> None:
    paces: list[int | None] = [left for left in range(9, 0, -1) for _ in range(int(STUCK_SECONDS / POLL_SECONDS) - 1)]

    assert wait([*paces, 0]) > 8 * (STUCK_SECONDS - 2 * POLL_SECONDS)


def test_fewer_records_loaded_than_were_replayed_is_a_failure_with_a_name() -> None:
    with pytest.raises(GaveUp, match="GaveUp: 7 records are not loaded"):
        wait([9, 7])

    assert GaveUp.exit_code == 1


def test_brokers_that_do_not_say_what_is_left_are_a_failure_too() -> None:
    with pytest.raises(GaveUp, match="an unknown number of records"):
        wait([None])


def test_what_was_replayed_is_left_until_load_has_committed_all_of_it_whatever_came_later() -> None:
    offsets = FakeTopicOffsets()
    offsets.reached_by[LOAD_REPLAY_GROUP, EVENTS_REPLAY_TOPIC] = 4

    assert left_to_load(offsets, {0: 9}) == 5
    assert left_to_load(offsets, {0: 9, 1: 3}) == 8
    assert left_to_load(offsets, {0: 3}) == 0


def test_brokers_that_are_away_say_nothing() -> None:
    offsets = FakeTopicOffsets()
    offsets.is_down = True

    assert left_to_load(offsets, {0: 9}) is None
