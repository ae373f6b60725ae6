"""`make chaos [SEEDS=10]`: kill -9 at random while mixed operations are sent, then check that every promise held.

Each seed gets a stack of its own on free ports, with the broker's log on disk. Exit codes: 0 nothing lost, duplicated
or wrong; 1 otherwise, or when a part did not come back; 2 wrong usage; 130 interrupted.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from local_runtime import interrupts
from local_runtime.settings import InvalidSettings, LocalSettings
from local_runtime.stack import StackFailed
from scripts.chaos.killing import KINDS
from scripts.chaos.run import Plan, Result, run_seed
from scripts.failures import ScriptFailed

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
# Of operations; "refused" of calls; "ordered": neighbours of one key whose order in the topic was looked at.
_COUNTS = ("accepted", "spooled", "unknown", "refused", "ordered")
_COLUMNS = ("seed", *KINDS, *_COUNTS, "lost", "duplicated", "wrong", "seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all seeds, whatever becomes of the ones before; print a line for each."""
    given = _parse(arguments)
    try:
        with interrupts.as_keyboard_interrupt():
            settings = LocalSettings.from_env()
            print(_line(_COLUMNS), flush=True)
            seeds = range(given.first_seed, given.first_seed + given.seeds)
            are_clean = [_run(settings, Plan(seed, given.operations, given.rounds), given.verbose) for seed in seeds]
            return EXIT_OK if all(are_clean) else EXIT_FAILED
    except InvalidSettings as failure:
        print(failure, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(settings: LocalSettings, plan: Plan, is_verbose: bool) -> bool:  # noqa: FBT001 - of this module only
    began = time.monotonic()

    def say(text: str) -> None:
        if is_verbose:
            print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        result = run_seed(settings, plan, say)
    except (ScriptFailed, StackFailed) as failure:
        print(f"seed {plan.seed}: {failure}", file=sys.stderr, flush=True)
        return False
    print(_line(describe(result)), flush=True)
    for detail in [*result.verdict.details, *(f"rejected: {each}" for each in result.rejected[:10])]:
        print(f"  {detail}", flush=True)
    return result.verdict.is_clean and not result.rejected


def describe(result: Result) -> tuple[object, ...]:
    """The columns of one run."""
    kills, counts, verdict = result.kills, result.counts, result.verdict
    return (
        result.plan.seed,
        *(kills[kind] for kind in KINDS),
        *(counts[name] for name in _COUNTS),
        verdict.lost,
        verdict.duplicated,
        verdict.wrong,
        round(result.seconds),
    )


def _line(cells: Sequence[object]) -> str:
    return "".join(f"{cell!s:>11}" for cell in cells)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.chaos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=1, help="how many runs")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--operations", type=int, default=20_000, help="in each run")
    parser.add_argument("--rounds", type=int, default=2, help="how often each kind of part is killed in a run")
    parser.add_argument("--verbose", action="store_true", help="what happens, on the standard error")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
