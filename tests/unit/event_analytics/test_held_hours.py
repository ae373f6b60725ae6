"""What was found to hold is kept until it turns out not to, and looked for again now and then."""

from itertools import count

import pytest

from event_analytics.held_hours import LEARNED_SECONDS_MIN, WINDOWS_MAX, Bounds, Held, HeldByWindow, held_of

TWO_HOURS = (0, 7_200)


def a_held(number: int, hours: int) -> Held:
    return Held(tuple(range(0, hours * 3_600, 3_600)), tuple(f"g{number}" for _ in range(hours)), 1, 1, 7)


class Kept:
    """Windows whose clock a test turns; each time something is found out it is something else."""

    def __init__(self, hours: int) -> None:
        self.seconds = 0.0
        self.windows = HeldByWindow(lambda: self.seconds)
        self.hours = hours
        self._numbers = count()

    def ask(self, bounds: Bounds = TWO_HOURS) -> int | None:
        """The number of the finding that is known."""
        held = self.windows.of(bounds, lambda: a_held(next(self._numbers), self.hours))
        return int(held.generations[0][1:]) if held else None


def test_where_all_hours_hold_it_is_found_out_once() -> None:
    kept = Kept(hours=2)

    assert kept.ask() == 0
    kept.seconds += 100 * LEARNED_SECONDS_MIN
    assert kept.ask() == 0


def test_where_some_hours_do_not_hold_it_is_found_out_now_and_then() -> None:
    kept = Kept(hours=1)

    assert kept.ask() == 0
    kept.seconds += LEARNED_SECONDS_MIN - 1
    assert kept.ask() == 0
    kept.seconds += 1
    assert kept.ask() == 1


@pytest.mark.parametrize("hours", [1, 2])
def test_what_does_not_hold_any_more_is_found_out_again_but_not_at_once(hours: int) -> None:
    kept = Kept(hours)
    assert (kept.ask(), kept.ask((0, 3_600))) == (0, 1)

    kept.windows.forget(TWO_HOURS)

    assert kept.ask() is None
    assert kept.ask((0, 3_600)) == 1
    kept.seconds += LEARNED_SECONDS_MIN
    assert kept.ask() == 2


def test_windows_beyond_the_last_few_make_room_and_renewed_ones_do_not() -> None:
    kept = Kept(hours=1)
    others = [(0, 7_200 + number) for number in range(1, WINDOWS_MAX)]
    for bounds in [TWO_HOURS, *others]:
        kept.ask(bounds)
    kept.seconds += LEARNED_SECONDS_MIN
    assert kept.ask() == WINDOWS_MAX
    kept.seconds -= LEARNED_SECONDS_MIN
    assert kept.ask(others[0]) == 1

    kept.ask((0, 1))

    assert kept.ask(others[0]) == WINDOWS_MAX + 2


def test_a_window_has_the_events_and_marks_of_its_hours_in_all() -> None:
    rows = [
        {"starts_at": 0, "generation": "g", "events": 2, "marks": 3, "digest": 2**64 - 1},
        {"starts_at": 3_600, "generation": "h", "events": 5, "marks": 1, "digest": 8},
    ]

    assert held_of(rows) == Held((0, 3_600), ("g", "h"), 7, 4, 7)
    assert held_of([]) == Held((), (), 0, 0, 0)
