"""What people and scripts read: tables in a terminal, JSON on request."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallystream.results import Event
from tallystream.wire import format_time, write_json

_SECOND_MS: Final = 1_000.0
_TEXT_SHOWN: Final = 60
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Column(NamedTuple):
    """A column of a table. `is_number`: stands to the right."""

    name: str
    is_number: bool = False


def print_json(result: object) -> None:
    """One line of JSON under the API's names."""
    click.echo(json.dumps(write_json(result), ensure_ascii=False))


def print_table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[object]], caption: str = "") -> None:
    """A table; says so where it has no rows."""
    console = Console()
    if not rows:
        console.print(f"{title}: none", highlight=False)
        return
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for column in columns:
        table.add_column(column.name, justify="right" if column.is_number else "left")
    for row in rows:
        table.add_row(*(Text(show(value)) for value in row))  # not markup: it came from events
    console.print(table)


def print_pairs(pairs: dict[str, object]) -> None:
    """Names and values, one pair a line; what is None is left out."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        if value is not None:
            click.echo(f"{name:<{width}}  {without_controls(show_whole(value))}")


def print_event_line(event: Event) -> None:
    """One event in one line, in the terminal's colours."""
    parts = [
        click.style(format_time(event.timestamp), dim=True),
        click.style(without_controls(event.event_name), bold=True),
        without_controls(event.user_id or ""),
        click.style(without_controls(event.conversation_id or ""), fg="cyan"),
        show_ms(event.latency_ms) if event.latency_ms is not None else "",
        click.style(without_controls(event.error), fg="red") if event.error else "",
        click.style(event.id, dim=True),
    ]
    click.echo("  ".join(part for part in parts if part))


def show(value: object) -> str:
    """A value in a cell."""
    text = without_controls(show_whole(value))
    return text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"


def show_whole(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def without_controls(text: str) -> str:
    """The text with what a terminal would obey (escape sequences, line ends) written out."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def show_ms(milliseconds: float | None) -> str:
    """A duration in the unit that fits it."""
    if milliseconds is None:
        return ""
    return f"{milliseconds / _SECOND_MS:,.1f} s" if milliseconds >= 10 * _SECOND_MS else f"{milliseconds:,.0f} ms"


def show_share(share: float | None) -> str:
    """A share of one in percent."""
    return "" if share is None else f"{share:.1%}"


def as_lines(rows: Any, *, is_json: bool) -> int:
    """Prints each event on a line of its own as it comes; how many there were."""
    count = 0
    for count, event in enumerate(rows, start=1):  # noqa: B007 - the last number is the answer
        print_json(event) if is_json else print_event_line(event)
    return count
