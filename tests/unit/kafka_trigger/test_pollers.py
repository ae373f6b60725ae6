from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_runtime.kafka_trigger.dispatch import Backoff
from local_runtime.kafka_trigger.pollers import CALM_ROUNDS, SUCCESSES_TO_RAISE, Concurrency, Scaling, own_partitions


@given(st.sets(st.integers(0, 100)), st.integers(1, 120))
def test_every_partition_has_one_owner_and_no_poller_is_without_one(partitions: set[int], pollers: int) -> None:
    owned = own_partitions(partitions, pollers)

    assert sorted(number for numbers in owned for number in numbers) == sorted(partitions)
    assert len(owned) == min(pollers, len(partitions))
    assert {len(numbers) for numbers in owned} <= {len(partitions) // pollers, len(partitions) // pollers + 1}


def test_a_batch_that_keeps_failing_gets_its_partitions_pollers_of_their_own() -> None:
    scaling = Scaling(1, 2000, interval_seconds=10)

    assert not scaling.scale(100.0, shared_failure_since=95.0, partitions=8)  # not for a whole interval yet
    assert not scaling.scale(105.0, shared_failure_since=95.0, partitions=8)  # looked at once an interval
    assert scaling.scale(110.0, shared_failure_since=95.0, partitions=8)
    assert scaling.pollers == 8


def test_partitions_share_a_poller_again_after_a_calm_time() -> None:
    scaling = Scaling(2, 4, interval_seconds=1)
    assert scaling.scale(10.0, shared_failure_since=1.0, partitions=8)
    assert scaling.pollers == 4
    rounds = [scaling.scale(20.0 + number, None, 8) for number in range(CALM_ROUNDS)]

    assert rounds == [False] * (CALM_ROUNDS - 1) + [True]
    assert scaling.pollers == 2


def test_partitions_stay_apart_as_long_as_one_fails() -> None:
    scaling = Scaling(1, 8, interval_seconds=1)
    scaling.scale(10.0, shared_failure_since=1.0, partitions=8)

    failing = [scaling.scale(20.0 + number, None, 8, is_failing=True) for number in range(3 * CALM_ROUNDS)]
    calm = [scaling.scale(100.0 + number, None, 8) for number in range(CALM_ROUNDS)]

    assert not any(failing)
    assert calm == [False] * (CALM_ROUNDS - 1) + [True]


def test_fixed_number_of_pollers_never_changes() -> None:
    scaling = Scaling(3, 3, interval_seconds=1)

    assert not scaling.scale(100.0, shared_failure_since=1.0, partitions=8)
    assert scaling.pollers == 3


def test_throttling_halves_what_runs_at_once_and_successes_raise_it_step_by_step() -> None:
    concurrency = Concurrency(5)
    limits = []
    for _ in range(3):
        concurrency.throttled()
        limits.append(concurrency.limit)
    for _ in range(4 * SUCCESSES_TO_RAISE):
        concurrency.succeeded()
    limits.append(concurrency.limit)

    assert limits == [2, 1, 1, 5]


def test_backoff_doubles_and_is_bounded() -> None:
    backoff = Backoff(0.1, 5.0)
    pauses = [backoff.seconds(failures) for failures in range(100)]

    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
