"""A long form ends: after its cases, or with the case in which its time is over."""

from collections.abc import Iterator

import pytest

from tests.long_forms import CASES, cases_within


def ticking(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


@pytest.mark.parametrize(
    ("seconds_of_a_case", "expected"),
    [(1.0, 5), (20.0, 3), (1_000.0, 1)],
    ids=["all there are", "none begins after the time", "one in any case"],
)
def test_a_long_form_has_its_cases_or_its_time(seconds_of_a_case: float, expected: int) -> None:
    told: list[tuple[str, object]] = []
    clock = ticking(seconds_of_a_case).__next__

    done = list(cases_within(5, "stories", 60.0, lambda name, value: told.append((name, value)), clock))

    assert done == list(range(1, expected + 1))
    [(name, value)] = told
    assert name == CASES
    assert str(value).startswith(f"{expected} of at most 5 stories in ")
