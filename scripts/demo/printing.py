"""Tables for a person. Prints what it is given and computes nothing but its form."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.demo.archive import ArchiveState
from scripts.demo.checking import Check
from scripts.demo.probing import VisibilityProbe
from scripts.send_events import percentile

TEXT_SHOWN: Final = 58  # characters of a message: a line of a narrow terminal


def print_table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One table; numbers to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        is_number = bool(rows) and all(row[place][:1].isdigit() for row in rows) and "time" not in column
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print()
    console.print(table)


def print_top_users(console: Console, report: Mapping[str, Any], tallied: Mapping[str, int]) -> None:
    """The report's rows beside our own counts of them."""
    rows = [
        (str(row["user_id"]), f"{row['events']:,}", f"{tallied.get(str(row['user_id']), 0):,}")
        for row in report.get("users") or []
    ]
    print_table(console, "Top users  GET /reports/top-users", ("user_id", "events", "sent by us"), rows)


def print_latency(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Latency percentiles in seconds."""
    names = ("p50_ms", "p95_ms", "p99_ms")
    shown = [
        (str(row["event_name"]), f"{row['events']:,}", *(_seconds(row.get(name)) for name in names)) for row in rows
    ]
    columns = ("event_name", "events", "p50", "p95", "p99")
    print_table(console, "Reply latency  GET /reports/latency", columns, shown)


def print_timeline(console: Console, conversation_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A conversation as the API returns it; people are A, B, C in the order of their first event."""
    people = list(dict.fromkeys(str(row.get("user_id") or "") for row in rows))
    shown = [
        (
            str(row.get("timestamp", ""))[:19].replace("T", " "),
            chr(ord("A") + people.index(str(row.get("user_id") or "")) % 26),
            str(row.get("event_name", "")),
            _cut(str(row.get("output") or "")),
        )
        for row in rows
    ]
    title = f"One conversation  GET /conversations/{conversation_id}/events"
    print_table(console, title, ("time (UTC)", "who", "event_name", "output"), shown)


def print_event(console: Console, event: Mapping[str, Any] | None) -> None:
    """One event, field by field."""
    fields = [(name, _cut(str(value))) for name, value in (event or {}).items() if value not in (None, "", {}, [])]
    title = f"One event  GET /event/{(event or {}).get('id', '')}"
    print_table(console, title, ("field", "value"), fields)


def print_figures(
    console: Console,
    archive: ArchiveState,
    bucket: str,
    probe: VisibilityProbe,
    figures: Sequence[tuple[str, str]],
) -> None:
    """Where the archive lies, and how fast it all was."""
    seconds = probe.seconds
    if seconds:
        p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
        shown = f"p50 {p50:.2f} s, p99 {p99:.2f} s of {len(seconds)} batches"
    else:
        shown = "not measured: " + (probe.trouble or "events of this window were there before")
    rows = [
        *figures,
        ("from 202 to visible", shown),
        ("archive", f"s3://{bucket}/raw/v1/"),
        ("", f"{archive.objects:,} objects, {archive.records:,} records, {archive.stored_bytes / 1e6:,.1f} MB"),
        ("its newest object", archive.newest or "none"),
    ]
    print_table(console, "Figures of this run", ("figure", "value"), rows)


def print_checks(console: Console, checks: Sequence[Check], rejected: Counter[str], odd: Counter[str]) -> None:
    """Every comparison, whether it holds, and what was refused or mended on the way."""
    rows = [
        (check.name, check.expected, check.got, "equal" if not check.problem else f"WRONG: {check.problem}", check.note)
        for check in checks
    ]
    columns = ("in = out", "counted here", "answered", "", "note")
    print_table(console, "Held against a count in plain Python", columns, rows)
    for label, counts in (("rejected", rejected), ("mended before sending", odd)):
        if counts:
            parts = ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()))
            console.print(f"{label}: {parts}", highlight=False)


def print_next_steps(
    console: Console,
    api_url: str,
    read_key: str,
    window: Mapping[str, str],
    conversation_id: str,
    *,
    keeps_running: bool,
) -> None:
    """Lines to copy into a shell."""
    console.print()
    if keeps_running:
        console.print("This checkout's stack keeps running. To go on:", highlight=False)
        address = f"  URL={shlex.quote(api_url)} KEY={shlex.quote(read_key)}"
    else:
        # The next start deploys the API under another id, and says so.
        console.print(f"It answered at {api_url} and stops now. `make up` serves the same events.", highlight=False)
        console.print("To go on, with the api_url and read_key that it prints:", highlight=False)
        address = "  URL=... KEY=..."
    targets = [f"/reports/top-users?{urlencode({**window, 'limit': 5})}", f"/reports/latency?{urlencode(window)}"]
    if conversation_id:
        targets.append(f"/conversations/{conversation_id}/events")
    console.print(address, soft_wrap=True, highlight=False, markup=False)
    for target in targets:
        line = f'  curl -H "Authorization: Bearer $KEY" "$URL{target}"'
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print("  The dashboard is at $URL/: open it in a browser and enter the key.", highlight=False)


def _seconds(milliseconds: object) -> str:
    return f"{milliseconds / 1_000:,.1f} s" if isinstance(milliseconds, (int, float)) else "none"


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "\u2026"
