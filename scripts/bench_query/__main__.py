"""`make bench-query [ROWS=100000000]`: how long each question takes over so many events on this machine.

The events are made up once, inside a ClickHouse of its own under `.tallystream/bench-query/ROWS`, and stay for the next
run; Ctrl-C stops, and the same command goes on from there. A hundred million take 8 GB.

Exit codes: 0 measured; 1 the server did not start or did not answer; 2 wrong usage; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import Unavailable
from local_runtime import interrupts
from local_runtime.settings import InvalidSettings, LocalSettings
from local_runtime.stack import StackFailed
from scripts.bench_query.asked import list_questions, read_samples
from scripts.bench_query.building import build
from scripts.bench_query.generation import Scale
from scripts.bench_query.measuring import Bench
from scripts.bench_query.report import (
    describe_all,
    describe_machine,
    describe_question,
    describe_tables,
    heading,
    line_of,
    summary_of,
    write,
)
from scripts.bench_query.server import serving
from scripts.failures import ScriptFailed
from scripts.progress import show_progress

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
ROWS, RUNS = 100_000_000, 21
REPORT = Path("build") / "bench_query.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    try:
        with interrupts.as_keyboard_interrupt():
            settings = LocalSettings.from_env()
            folder = settings.state_dir / "bench-query" / str(given.rows)
            with serving(settings, folder, lambda text: print(text, file=sys.stderr)) as store:
                build_shown(store, Scale(given.rows))
                if not given.build_only:
                    document = measure(store, Scale(given.rows), given.runs, print)
                    write(document, REPORT)
            return 0
    except InvalidSettings as failure:
        print(failure, file=sys.stderr)
        return EXIT_USAGE
    except (ScriptFailed, StackFailed, Unavailable) as failure:
        print(f"bench-query: {failure}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def build_shown(store: ClickHouseEventStore, scale: Scale) -> None:
    """As `build`, with a bar."""
    with show_progress("events", scale.rows) as advance:
        build(store, scale, advance)


def measure(store: ClickHouseEventStore, scale: Scale, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything about all questions; a line for each as soon as it is known."""
    machine, tables = describe_machine(), describe_tables(store, scale)
    bench, questions = Bench(store), []
    say(heading())
    store.command("SYSTEM STOP MERGES")  # the open week stays as it is while it is read
    for timed in list_questions(scale, read_samples(store, scale, runs)):
        questions.append(describe_question(timed, bench.time(timed, runs)))
        say(line_of(questions[-1]))
    store.command("SYSTEM START MERGES")
    document = describe_all(machine, tables, questions)
    say(summary_of(document))
    return document


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_query", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=ROWS, help="how many events")
    parser.add_argument("--runs", type=int, default=RUNS, help="how often each question is asked")
    parser.add_argument("--build-only", action="store_true", help="make the events up, ask nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
