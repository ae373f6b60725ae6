"""Parts die while mixed operations come in: whatever was acknowledged is in the answers exactly once."""

from random import SystemRandom

import pytest

from local_runtime.settings import LocalSettings
from scripts.chaos.killing import KINDS
from scripts.chaos.run import Plan, Result, run_seed
from tests.long_forms import Record, cases_within

SEED = 1
OPERATIONS = 1_000
# Of the long form. A run of so many operations and kills takes 5 minutes where little else runs, and up to 14.
RUNS_MAX, LONG_OPERATIONS, LONG_ROUNDS = 2, 20_000, 3
SECONDS_MAX = 360.0  # no run begins after it
SEED_BITS = 16  # enough that hardly two runs are alike, and short enough to type


def hold_promises(result: Result, operations: int, rounds: int) -> None:
    verdict = result.verdict
    assert (verdict.lost, verdict.duplicated, verdict.wrong) == (0, 0, 0), (result.plan, verdict.details)
    assert result.rejected == []
    # A run that killed nothing, or in which nothing got through, would prove nothing.
    assert {kind: result.kills[kind] for kind in KINDS} == dict.fromkeys(KINDS, rounds)
    assert result.counts["accepted"] + result.counts["spooled"] > operations * 0.8
    assert result.counts["ordered"] > operations * 0.1


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_when_each_part_is_killed_once(local_settings: LocalSettings) -> None:
    result = run_seed(local_settings, Plan(SEED, OPERATIONS, rounds=1, lanes=2), print)

    hold_promises(result, OPERATIONS, rounds=1)


@pytest.mark.long
@pytest.mark.timeout(2_400)
def test_nothing_is_lost_or_doubled_when_each_part_is_killed_again_and_again(
    local_settings: LocalSettings, record_property: Record
) -> None:
    for _ in cases_within(RUNS_MAX, f"runs of {LONG_OPERATIONS:,} operations", SECONDS_MAX, record_property):
        plan = Plan(SystemRandom().getrandbits(SEED_BITS), LONG_OPERATIONS, LONG_ROUNDS)
        print(plan)  # noqa: T201 - shown if it fails: a run is repeated by its seed
        result = run_seed(local_settings, plan, print)

        hold_promises(result, LONG_OPERATIONS, LONG_ROUNDS)
