"""Parts die while mixed operations come in: whatever was acknowledged is in the answers exactly once."""

import pytest

from local_runtime.settings import LocalSettings
from scripts.chaos.killing import KINDS
from scripts.chaos.run import Plan, Result, run_seed

SEED = 1
OPERATIONS = 1_000


def hold_promises(result: Result, operations: int, rounds: int) -> None:
    verdict = result.verdict
    assert (verdict.lost, verdict.duplicated, verdict.wrong) == (0, 0, 0), verdict.details
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
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10, 13))
def test_nothing_is_lost_or_doubled_when_each_part_is_killed_again_and_again(
    local_settings: LocalSettings, seed: int
) -> None:
    result = run_seed(local_settings, Plan(seed, operations=20_000, rounds=3), print)

    hold_promises(result, operations=20_000, rounds=3)
