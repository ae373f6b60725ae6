"""`make bench [ARGS="--only sustained"]`: how fast the whole path is on this machine, and where the time goes.

Each section has a stack of its own on free ports, under `.tallystream/bench`; nothing of it is left. All sections but
`growth` take eight to eleven minutes together, since rates are held for a minute each. Prints tables and writes
`build/bench.json`.

Exit codes: 0 measured; 1 a stack did not start, or something that was sent did not arrive; 2 wrong usage;
130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from event_analytics.errors import Unavailable
from local_runtime import interrupts
from local_runtime.settings import InvalidSettings, LocalSettings
from local_runtime.stack import StackFailed
from scripts.bench.report import print_tables, write
from scripts.bench.sections import DEFAULT_SECTIONS, SECTIONS, Bench, Scale, measure
from scripts.failures import ScriptFailed

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
REPORT = Path("build") / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    try:
        with interrupts.as_keyboard_interrupt():
            settings = LocalSettings.from_env()
            scale = Scale.short() if given.short else Scale()
            bench = Bench(settings, settings.state_dir / "bench", scale, lambda text: print(text, file=sys.stderr))
            document = measure(bench, given.only or DEFAULT_SECTIONS)
            print_tables(document)
            write(document, given.output)
            return 0
    except InvalidSettings as failure:
        print(failure, file=sys.stderr)
        return EXIT_USAGE
    except (ScriptFailed, StackFailed, Unavailable) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", choices=SECTIONS, help="one section; may be given several times")
    parser.add_argument(
        "--short", action="store_true", help="seconds instead of minutes: whether it works, not how fast"
    )
    parser.add_argument("--output", type=Path, default=REPORT, help="where the figures are written")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
