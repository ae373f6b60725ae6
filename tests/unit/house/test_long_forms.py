"""A long form ends: after its cases, or with the case in which its time is over."""

import pytest

from tests.long_forms import CASES, cases_within


@pytest.mark.parametrize(
    ("seconds_of_a_case", "expected"),
    [(1, 5), (20, 3), (1_000, 1)],
    ids=["all there are", "none begins after the time", "one in any case"],
)
def test_a_long_form_has_its_cases_or_its_time(seconds_of_a_case: int, expected: int) -> None:
    told: list[tuple[str, object]] = []
    spent: list[int] = []
    cases = cases_within(5, "stories", 60.0, lambda name, value: told.append((name, value)), lambda: sum(spent))

    spent.extend(seconds_of_a_case for _ in cases)

    assert told == [(CASES, f"{expected} of at most 5 stories in {expected * seconds_of_a_case} s")]
