"""What was measured: a table for the terminal, and the whole of it as JSON with the machine that it was measured on."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from event_analytics.ports import EventStore
from event_analytics.rollup import ROLLUPS
from event_analytics.windows import format_instant
from scripts.bench_query.asked import Timed
from scripts.bench_query.generation import OPEN_WEEK, Scale
from scripts.bench_query.measuring import Run

_P95: Final = 18  # of nineteen cuts between twenty equal parts
_GIGABYTE: Final = 1_000_000_000
_MEGABYTE: Final = 1_000_000
_TABLES: Final = """
SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts,
    countIf(partition = toString({open_week:Date})) AS parts_of_open_week
FROM system.parts
WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
GROUP BY table
ORDER BY table
"""
_ASKED_TABLES: Final = ("events", "event_embeddings", *(rollup.table for rollup in ROLLUPS))
_VERSION: Final = "SELECT version() AS version"
_WIDTHS: Final = (38, 8, 9, 9, 9, 9, 9, 5, 12, 9)
_HEADINGS: Final = (
    "",
    "target",
    "p50 ms",
    "p95 ms",
    "own p50",
    "added p50",
    "added p95",
    "asks",
    "rows read",
    "MB read",
)


def describe_question(timed: Timed, runs: Sequence[Run]) -> dict[str, Any]:
    """One question's figures. `added`: by the function, without the engine; `own`: by the engine's own clock."""
    engine, own = [run.engine_ms for run in runs], [run.own_ms for run in runs]
    added = [run.total_ms - run.engine_ms for run in runs]
    through = [run.total_ms for run in runs]
    return {
        "name": timed.name,
        "target_ms": timed.target_ms,
        "engine_ms": _quantiles(engine),
        "engine_own_ms": _quantiles(own),
        "function_ms": None if timed.compile else _quantiles(through),
        "function_adds_ms": None if timed.compile else _quantiles(added),
        "statements": round(statistics.median(run.statements for run in runs)),
        "rows_read": round(statistics.median(run.rows_read for run in runs)),
        "bytes_read": round(statistics.median(run.bytes_read for run in runs)),
        "runs": len(runs),
    }


def describe_machine() -> dict[str, Any]:
    """Where it was measured, and how busy that was."""
    return {
        "processor": _read_first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "memory": _read_first("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def describe_tables(store: EventStore, scale: Scale) -> dict[str, Any]:
    """What was asked."""
    parameters = {"open_week": f"{OPEN_WEEK:%Y-%m-%d}", "tables": list(_ASKED_TABLES)}
    tables = {row.pop("table"): row for row in store.select(_TABLES, parameters)}
    return {"rows": scale.rows, "weeks": scale.weeks, "engine": store.select(_VERSION, {})[0]["version"], **tables}


def describe_all(machine: Mapping[str, Any], tables: Mapping[str, Any], questions: Sequence[Any]) -> dict[str, Any]:
    """The whole, as `write` takes it."""
    measured_at = format_instant(datetime.now(UTC))
    load = {"load_average_after": [round(load, 1) for load in os.getloadavg()]}
    return {"measured_at": measured_at, "machine": {**machine, **load}, "tables": tables, "questions": questions}


def write(document: Mapping[str, Any], path: Path) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def heading() -> str:
    """The table's first line."""
    return _line(_HEADINGS)


def line_of(figures: Mapping[str, Any]) -> str:
    """The table's line of one question; an asterisk where the target is missed."""
    target, engine, added = figures["target_ms"], figures["engine_ms"], figures["function_adds_ms"]
    is_missed = target is not None and engine["p50"] > target
    return _line(
        (
            figures["name"],
            "" if target is None else f"{target:g}{'*' if is_missed else ''}",
            f"{engine['p50']:.1f}",
            f"{engine['p95']:.1f}",
            f"{figures['engine_own_ms']['p50']:.1f}",
            "" if added is None else f"{added['p50']:.1f}",
            "" if added is None else f"{added['p95']:.1f}",
            figures["statements"],
            f"{figures['rows_read']:,}",
            f"{figures['bytes_read'] / _MEGABYTE:.1f}",
        )
    )


def summary_of(document: Mapping[str, Any]) -> str:
    """Two lines below the table: what was asked, and on what."""
    tables, machine = document["tables"], document["machine"]
    disk = sum(table["bytes"] for table in tables.values() if isinstance(table, dict)) / _GIGABYTE
    events = tables["events"]
    load = f"load average {machine['load_average'][0]} before, {machine['load_average_after'][0]} after"
    return (
        f"{events['rows']:,} rows of {tables['rows']:,} events in {events['parts']} parts, "
        f"{events['parts_of_open_week']} of them of the open week; {disk:.1f} GB with rollups and embeddings\n"
        f"{machine['processors']} x {machine['processor']}, {machine['memory']}, ClickHouse {tables['engine']}; {load}"
    )


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:  # noqa: PLR2004 - what quantiles need
        return {"p50": round(values[0], 2), "p95": round(values[0], 2)}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": round(statistics.median(values), 2), "p95": round(cuts[_P95], 2)}


def _line(cells: Sequence[object]) -> str:
    first, *rest = (
        str(cell).rjust(width) if place else str(cell).ljust(width)
        for place, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
    return " ".join((first, *rest)).rstrip()


def _read_first(path: str, name: str) -> str | None:
    """The value of the first line `name: value` of a file of the kernel's."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
