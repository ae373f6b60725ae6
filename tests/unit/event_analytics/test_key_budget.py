"""What one key may send."""

import pytest

from event_analytics.errors import Refused
from event_analytics.key_budget import BURST_SECONDS, KEYS_MAX, REQUEST_BYTES_MIN, KeyBudget

RATE = 100_000
BURST = int(RATE * BURST_SECONDS)
SECOND = 1_000_000


def refusal_of(budget: KeyBudget, key_id: str, size: int, now_us: int) -> Refused:
    with pytest.raises(Refused) as refused:
        budget.spend(key_id, size, now_us)
    return refused.value


def test_a_key_may_send_what_it_saved_up_and_then_its_rate() -> None:
    budget = KeyBudget(RATE, burst_min=0)
    budget.spend("k", BURST, 0)
    refused = refusal_of(budget, "k", RATE, 0)
    budget.spend("k", RATE, SECOND)

    assert (refused.reason, refused.status, refused.retry_after_seconds) == ("throttled", 429, 1)


def test_waiting_as_long_as_told_is_enough_and_a_refusal_costs_nothing() -> None:
    budget = KeyBudget(RATE, burst_min=4_000_000)
    budget.spend("k", 4_000_000, 0)
    waits = {refusal_of(budget, "k", 350_000, 0).retry_after_seconds for _ in range(100)}

    budget.spend("k", 350_000, 4 * SECOND)

    assert waits == {4}


def test_a_key_costs_no_other_key_anything() -> None:
    budget = KeyBudget(RATE, burst_min=0)
    budget.spend("loud", BURST, 0)

    refusal_of(budget, "loud", 1, 0)
    budget.spend("quiet", BURST, 0)


def test_many_small_requests_count_as_more_than_their_bytes() -> None:
    budget = KeyBudget(RATE, burst_min=0)
    for _ in range(BURST // REQUEST_BYTES_MIN):
        budget.spend("k", 1, 0)

    assert refusal_of(budget, "k", 1, 0).retry_after_seconds == 1


def test_a_request_larger_than_all_that_can_be_saved_up_gets_its_own_refusal_later() -> None:
    KeyBudget(RATE, burst_min=0).spend("k", 10 * BURST, 0)

    assert BURST < 10 * BURST


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    budget = KeyBudget(RATE, burst_min=0)
    budget.spend("k", BURST, 10 * SECOND)

    refusal_of(budget, "k", 1, 0)
    refusal_of(budget, "k", 1, 10 * SECOND)


def test_memory_is_bounded_whatever_keys_come() -> None:
    budget = KeyBudget(RATE, burst_min=0)
    for number in range(KEYS_MAX + 10):
        budget.spend(f"k{number}", 1, number)

    assert len(budget._buckets) == KEYS_MAX


def test_no_rate_is_no_limit() -> None:
    budget = KeyBudget(0, burst_min=0)
    for _ in range(1_000):
        budget.spend("k", 4_000_000, 0)

    assert not budget._buckets
