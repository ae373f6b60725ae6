"""Puts the figures of `build/bench.json` into docs/benchmarks.md: `python -m scripts.bench.markdown [--file PATH]`.

What stands between the two marks of the document is replaced; the text around them stays. `growth` is run by itself and
has marks of its own.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from local_runtime.settings import REPOSITORY
from scripts.bench.__main__ import REPORT
from scripts.bench.report import text_of

_GROWTH: Final = "growth"
DOCUMENT: Final = REPOSITORY / "docs" / "benchmarks.md"
TARGETS: Final[Mapping[str, tuple[str, str]]] = {
    "sustained_events_per_s": ("held for 60 s over HTTP, 500 a request, archive running, events/s", ">= 20,000"),
    "freshness_p99_ms": ("from 202 to visible meanwhile, p99, ms", "< 3,000"),
    "ingest_500k_s": ("500,000 events over HTTP until visible and exact, s", "<= 25"),
    "update_200k_s": ("200,000 updates, s", "<= 12"),
    "delete_200k_s": ("200,000 deletes, s", "<= 10"),
    "ingest_vs_kafka_python": ("ingest function against bare kafka-python", ">= 0.5"),
    "load_vs_bare_insert": ("load function against the bare insert", ">= 0.8"),
    "load_vs_best_rival": ("values in hand to rows committed, against the best rival", ">= 1.5"),
    "package_zip_mb": ("both layers zipped, MB", "<= 30"),
    "import_ms": ("slowest import of a function, ms", "<= 400"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the document; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.markdown", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--file", type=Path, default=REPORT)
    figures = json.loads(parser.parse_args(arguments).file.read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    if _GROWTH in figures["sections"]:
        text = put_between(text, _GROWTH, describe_growth(figures))
    if set(figures["sections"]) - {_GROWTH}:
        text = put_between(text, "bench", describe(figures))
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


def put_between(text: str, mark: str, block: str) -> str:
    """The text with this block between the marks of that name."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{block}\n{end}{after}"


def describe(document: Mapping[str, Any]) -> str:
    """Tables in Markdown of what was measured."""
    sections = document["sections"]
    blocks = [describe_machine(document), describe_targets(document)]
    if "sustained" in sections:
        blocks.append(describe_cpu("events/s", "events_per_s", "cpu_us_per_event", sections["sustained"]))
        waits = {rate: held["freshness_ms"] for rate, held in sections["sustained"].items()}
        blocks.append(table_of(["from 202 to visible, ms", "p50, p99"], worded(waits)))
    for way, steps in sections.get("brief", {}).items():
        blocks.append(describe_cpu(way.replace("_", " "), "seconds", "cpu_us_per_operation", steps))
    for name, group in sections.get("stages", {}).items():
        blocks.append(table_of([name.replace("_", " "), "median (min to max)"], list(worded(group))))
    packages = sections.get("packages", {})
    if packages:
        rows = list(zip(worded(packages["import_ms"]), worded(packages["import_cpu_ms"]), strict=True))
        blocks.append(table_of(["function", "import, ms", "of it CPU, ms"], [[*wall, cpu[1]] for wall, cpu in rows]))
    return "\n\n".join(blocks)


def describe_growth(document: Mapping[str, Any]) -> str:
    """Tables in Markdown of how the figures change with partitions, sizes of events, and events in the stack."""
    growth = document["sections"][_GROWTH]
    names = {"partitions": "{} partitions", "event_size": "{} an event"}
    blocks = [describe_machine(document)]
    for part, name in names.items():
        columns = {name.format(key): column for key, column in growth[part].items()}
        blocks.append(describe_cpu("visible events/s, flat out", "visible_per_s", "cpu_us_per_event", columns))
    memory = growth["memory_mb"]
    stages = {**memory["before"], **memory["after"]}
    rows = [[stage, *(text_of(memory[when].get(stage, 0)) for when in ("before", "after"))] for stage in stages]
    blocks.append(table_of(["resident, MB", "before", f"after {memory['events']:,} events"], rows))
    return "\n\n".join(blocks)


def describe_machine(document: Mapping[str, Any]) -> str:
    """Where and when it was measured."""
    machine = document["machine"]
    load = f"load {machine['load_average'][0]} before and {machine['load_average_after'][0]} after"
    host = f"{machine['processors']} x {machine['processor']}, {machine['memory']}, Python {machine['python']}"
    loops = machine.get("loop_ms", {}).values()
    speed = f"; a fixed loop of Python, between sections, took {min(loops)} to {max(loops)} ms" if loops else ""
    return f"{host}, {load}, {document['measured_at'][:10]}{speed}."


def describe_targets(document: Mapping[str, Any]) -> str:
    """Each headline beside its target."""
    rows = [[words, target, text_of(document[key])] for key, (words, target) in TARGETS.items()]
    return table_of(["", "target", "measured"], rows)


def describe_cpu(title: str, figure: str, cpu: str, columns: Mapping[str, Mapping[str, Any]]) -> str:
    """CPU microseconds by stage, a column for each thing measured, the rate or the time in the first row."""
    stages = dict.fromkeys(stage for column in columns.values() for stage in column[cpu])
    rows = [[figure.replace("_", " "), *(text_of(column[figure]) for column in columns.values())]]
    rows += [
        [f"{stage}, µs", *(text_of(column[cpu].get(stage, 0.0)) for column in columns.values())] for stage in stages
    ]
    return table_of([title, *(name.replace("_", " ") for name in columns)], rows)


def worded(group: Mapping[str, Any]) -> list[list[str]]:
    """Name and figure."""
    return [[name.replace("_", " "), text_of(value)] for name, value in group.items()]


def table_of(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    ruler = ["---", *("---:" for _ in heading[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, ruler, *rows))


if __name__ == "__main__":
    sys.exit(main())
