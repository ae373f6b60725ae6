"""What was measured, as tables for the terminal and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def write(document: Mapping[str, Any], path: Path) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def print_tables(document: Mapping[str, Any], console: Console | None = None) -> None:
    """All sections that were measured."""
    console = console or Console(width=120)
    for name, section in document["sections"].items():
        for title, rows in flatten(name, section).items():
            console.print(table_of(title, rows))
    machine = document["machine"]
    load = f"load average {machine['load_average'][0]} before, {machine['load_average_after'][0]} after"
    console.print(
        f"{machine['processors']} x {machine['processor']}, {machine['memory']}, Python {machine['python']}; {load}",
        highlight=False,
    )


def flatten(name: str, figures: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Title -> figure -> text: a table for each group of figures that holds figures itself."""
    own = {key: text_of(value) for key, value in figures.items() if not isinstance(value, Mapping) or is_spread(value)}
    tables = {name: own} if own else {}
    for key, value in figures.items():
        if isinstance(value, Mapping) and not is_spread(value):
            tables |= flatten(f"{name}: {key}".replace("_", " "), value)
    return tables


def is_spread(value: Mapping[str, Any]) -> bool:
    """Whether this is one figure: a median with its extremes, or quantiles."""
    return {"median", "min", "max"} <= value.keys() or {"p50", "p99"} == value.keys()


def text_of(value: Any) -> str:
    """One figure for people."""
    if isinstance(value, Mapping):
        if "median" in value:
            return f"{value['median']:,g} ({value['min']:,g} to {value['max']:,g})"
        return f"p50 {value['p50']:,g}, p99 {value['p99']:,g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return "" if value is None else str(value)


def table_of(title: str, rows: Mapping[str, str]) -> Table:
    """Two columns."""
    table = Table(title=title, title_justify="left", show_header=False, min_width=60)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for key, text in rows.items():
        table.add_row(key.replace("_", " "), text)
    return table
