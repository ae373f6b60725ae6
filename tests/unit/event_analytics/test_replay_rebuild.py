"""When a rebuild says that everything is loaded."""

from collections.abc import Callable, Iterable

import pytest

from scripts.failures import GaveUp
from scripts.rebuild import QUIET_SECONDS, QUIET_SECONDS_UNSEEN, STUCK_SECONDS, wait_until_loaded
from tests.unit.event_analytics.replay_archive import Clock


def then_forever(values: Iterable[int | None]) -> Callable[[], int | None]:
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def wait(rows: list[int], left: list[int | None], *, is_lag_told: bool = True) -> float:
    clock = Clock()
    started = clock.now()
    count = then_forever(rows)
    wait_until_loaded(
        lambda: count() or 0, then_forever(left), is_lag_told=is_lag_told, now=clock.now, sleep=clock.sleep
    )
    return clock.now() - started


def test_is_loaded_when_nothing_is_left_and_no_row_has_come_for_a_while() -> None:
    assert wait([0, 5, 9], [9, 4, 0]) == pytest.approx(QUIET_SECONDS + 1, abs=1)


def test_lag_that_is_not_known_yet_is_waited_for() -> None:
    assert wait([9], [None] * 50 + [0]) >= QUIET_SECONDS + 20


def test_where_nobody_tells_the_lag_the_rows_have_to_rest_for_longer() -> None:
    assert wait([0, 5, 9], [None], is_lag_told=False) >= QUIET_SECONDS_UNSEEN


def test_lag_that_does_not_move_is_given_up() -> None:
    with pytest.raises(GaveUp, match="7 records are not loaded"):
        wait([0], [7])

    assert STUCK_SECONDS > QUIET_SECONDS_UNSEEN
