"""`make bench-sdk`: our client beside two others on the same local sink, in one run. Prints a table in Markdown.

Every measurement has a process of its own; rounds alternate, and a figure is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from subjects import BASELINE, MAKERS

HERE: Final = Path(__file__).parent
SOURCE: Final = HERE.parent / "src"
ROUNDS: Final = 2
IMPORT_ROUNDS: Final = 5
MEASUREMENT_SECONDS_MAX: Final = 60
COLUMNS: Final = {
    "import_ms": "import, ms",
    "p50_us": "call p50, µs",
    "p99_us": "call p99, µs",
    "p999_us": "call p99.9, µs",
    "calls_per_second": "calls/s of 10,000",
    "events_per_second": "events/s",
    "cpu_us": "CPU an event, µs",
    "full_queue_mb": "10,000 queued, MB",
}


def main() -> int:
    """1 where events did not arrive."""
    parser = argparse.ArgumentParser(description="Measure the SDK beside two others.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in MAKERS}
    with a_sink() as url, tempfile.TemporaryDirectory() as folder:
        for what in ("import", "paced", "burst", "memory"):
            for turn in range(IMPORT_ROUNDS if what == "import" else rounds):
                for name in sorted(MAKERS, reverse=turn % 2 == 1):
                    if name == BASELINE and what != "paced":
                        continue
                    print(f"{what} {turn + 1}: {name}", file=sys.stderr, flush=True)
                    for figure, value in measure(name, what, url, f"{folder}/{what}-{turn}").items():
                        found[name][figure].append(value)
    print(describe(found))
    return 0 if all(value == 0 for name in found for value in found[name]["lost"]) else 1


def measure(name: str, what: str, url: str, spool: str) -> dict[str, Any]:
    """The figures of one measurement."""
    done = subprocess.run(
        [sys.executable, str(HERE / "measure.py"), name, what, url, spool],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}"},
        stdout=subprocess.PIPE,
        timeout=MEASUREMENT_SECONDS_MAX,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    if "calls" in figures:
        figures["lost"] = figures.pop("calls") - figures.pop("arrived")
    return figures


@contextmanager
def a_sink() -> Iterator[str]:
    """The sink's URL while it runs."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "sink.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sink:
        assert sink.stdout is not None
        assert sink.stdin is not None
        yield f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        sink.stdin.close()


def describe(found: dict[str, dict[str, list[float]]]) -> str:
    """A table in Markdown: medians of the rounds, and what was lost in all of them."""
    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "",
        f"| | {' | '.join(COLUMNS.values())} | lost |",
        f"| --- |{' ---: |' * (len(COLUMNS) + 1)}",
    ]
    for name in MAKERS:
        figures = [_figure(found[name][column], column) for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(figures)} | {sum(found[name]['lost']):,.0f} |")
    return "\n".join(lines)


def _figure(values: list[float], column: str) -> str:
    if not values:
        return ""
    digits = 0 if column in ("calls_per_second", "events_per_second", "import_ms") else 1
    return f"{statistics.median(values):,.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
