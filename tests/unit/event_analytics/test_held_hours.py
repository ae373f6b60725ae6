"""What was found to hold is kept for some minutes, unless it turns out not to."""

from itertools import count

import pytest

from event_analytics.held_hours import KEPT_SECONDS_MAX, WINDOWS_MAX, Held, HeldHours, held_of

HOURS = (0, 3_600)


def a_held(number: int = 0) -> Held:
    return Held((0,), (f"g{number}",), 1, 1, 7)


class Kept:
    """Hours whose clock a test turns; each time something is found out it is something else."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.hours = HeldHours(lambda: self.seconds)
        self._numbers = count()

    def ask(self, hours: tuple[int, int] = HOURS) -> Held | None:
        return self.hours.of(hours, lambda: a_held(next(self._numbers)))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_it_is_found_out_once_per_window_until_it_is_too_old(kept: Kept) -> None:
    assert kept.ask() == a_held(0)
    assert kept.ask((0, 7_200)) == a_held(1)
    kept.seconds += KEPT_SECONDS_MAX - 1
    assert kept.ask() == a_held(0)
    kept.seconds += 1
    assert kept.ask() == a_held(2)


def test_what_does_not_hold_any_more_is_not_found_out_again_at_once(kept: Kept) -> None:
    kept.ask()

    kept.seconds += 100
    kept.hours.forget(HOURS)

    assert kept.ask() is None
    kept.seconds += KEPT_SECONDS_MAX - 1
    assert kept.ask() is None
    kept.seconds += 1
    assert kept.ask() == a_held(1)


def test_windows_beyond_the_last_few_are_found_out_anew(kept: Kept) -> None:
    for number in range(WINDOWS_MAX):
        assert kept.ask((number, number + 1)) == a_held(number)
    assert kept.ask((0, 1)) == a_held(0)

    kept.ask((WINDOWS_MAX, WINDOWS_MAX + 1))

    assert kept.ask((0, 1)) == a_held(WINDOWS_MAX + 1)


def test_a_window_has_the_events_and_marks_of_its_hours_in_all() -> None:
    rows = [
        {"starts_at": 0, "generation": "g", "events": 2, "marks": 3, "digest": 2**64 - 1},
        {"starts_at": 3_600, "generation": "h", "events": 5, "marks": 1, "digest": 8},
    ]

    assert held_of(rows) == Held((0, 3_600), ("g", "h"), 7, 4, 7)
    assert held_of([]) == Held((), (), 0, 0, 0)
