"""A summary as one page that needs nothing else: no script, no font, no picture from elsewhere; charts are SVG.

Every text that came from an event is escaped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from html import escape, unescape
from typing import Any, Final

from event_analytics.summary import Period, Summary, Table
from event_analytics.windows import format_instant

_CHART_WIDTH: Final = 720
_CHART_HEIGHT: Final = 140
_MS_PER_SECOND: Final = 1_000
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #17202a; --muted: #5d6b7a; --line: #dfe5ec; --page: #fff; --bar: #3b6fe0;
  --bad: #cf3f4f }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ecf2; --muted: #93a1b1; --line: #2c3643; --page: #12171e;
  --bar: #7aa2ff; --bad: #ff7b88 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 760px;
  margin: 32px auto; padding: 0 16px }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 16px; margin: 32px 0 8px } p { color: var(--muted); margin: 4px 0 }
dl { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0 }
dl div { flex: 1 1 150px; border: 1px solid var(--line); border-radius: 8px; padding: 12px }
dt { color: var(--muted); font-size: 13px } dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums }
small { font-size: 13px; color: var(--muted); display: block }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); text-align: left; overflow-wrap: anywhere }
th { color: var(--muted); font-weight: 500 } .number { text-align: right; white-space: nowrap }
svg { width: 100%; height: auto } .bar { fill: var(--bar) } .bad { fill: var(--bad) }
svg text { fill: var(--muted); font-size: 11px }
"""
USER_COLUMN: Final = "user_id"
_USER_CELL: Final = re.compile(r'<td class="user">([^<]*)</td>')
_TILES: Final = (("events", "Events"), ("users", "Users"), ("error_rate", "Error rate"), ("p95_ms", "p95 latency"))


def write_page(summary: Summary) -> bytes:
    """The page as HTML."""
    title = f"{_title_of(summary)} · Tallystream"
    body = "".join([_head_of(summary), _tiles_of(summary), _chart_of(summary.series), *map(_table_of, summary.tables)])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    ).encode()


def _title_of(summary: Summary) -> str:
    start = summary.window.start.date()
    if summary.period is Period.DAILY:
        return f"{start:%A}, {start.isoformat()}"
    return f"Week of {start.isoformat()} to {(summary.window.end - timedelta(days=1)).date().isoformat()}"


def _head_of(summary: Summary) -> str:
    window = f"{format_instant(summary.window.start)} to {format_instant(summary.window.end)}, half-open, UTC"
    return f"<h1>{escape(_title_of(summary))}</h1><p>{window}. Every figure is a count over deduplicated events.</p>"


def _tiles_of(summary: Summary) -> str:
    tiles = "".join(
        f"<div><dt>{label}</dt><dd>{_show(name, summary.totals.get(name))} "
        f"<small>{_change_of(name, summary)}</small></dd></div>"
        for name, label in _TILES
    )
    return f"<dl>{tiles}</dl>"


def _change_of(name: str, summary: Summary) -> str:
    return f"before: {_show(name, summary.before.get(name))}"


def _chart_of(series: Table) -> str:
    """Bars of events, with their errors in front; the table after it says the same in words."""
    highest = max((row["events"] for row in series.rows), default=0)
    if not highest:
        return "<h2>Events over time</h2><p>No event in this window.</p>"
    bars = "".join(_bars_of(series.rows, highest))
    label = f"{len(series.rows)} bars of events over time, the highest {highest:,}"
    return (
        f'<h2>Events over time</h2><svg viewBox="0 0 {_CHART_WIDTH} {_CHART_HEIGHT + 16}" role="img" '
        f'aria-label="{label}">{bars}<text x="0" y="{_CHART_HEIGHT + 12}">{escape(series.rows[0]["start"])}</text>'
        f'<text x="{_CHART_WIDTH}" y="{_CHART_HEIGHT + 12}" text-anchor="end">highest {highest:,}</text></svg>'
    )


def _bars_of(rows: Sequence[Mapping[str, Any]], highest: int) -> Iterator[str]:
    step = _CHART_WIDTH / len(rows)
    for index, row in enumerate(rows):
        for name, value in (("bar", row["events"]), ("bad", row["errors"])):
            height = _CHART_HEIGHT * value / highest
            yield (
                f'<rect class="{name}" x="{index * step:.1f}" y="{_CHART_HEIGHT - height:.1f}" '
                f'width="{step * 0.8:.1f}" height="{height:.1f}"/>'
            )


def _table_of(table: Table) -> str:
    if not table.rows:
        return f"<h2>{escape(table.title)}</h2><p>None.</p>"
    head = "".join(f'<th scope="col"{_align(name, table)}>{_label(name)}</th>' for name in table.columns)
    rows = "".join(
        "<tr>"
        + "".join(f"<td{_align(name, table)}>{_show(name, row.get(name))}</td>" for name in table.columns)
        + "</tr>"
        for row in table.rows
    )
    return f"<h2>{escape(table.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def users_on_page(page: str) -> set[str]:
    """Ids of the users whom a page of `write_page` names."""
    return {unescape(text) for text in _USER_CELL.findall(page)}


def _align(name: str, table: Table) -> str:
    if name == USER_COLUMN:
        return ' class="user"'
    is_number = any(isinstance(row.get(name), int | float) for row in table.rows)
    return ' class="number"' if is_number else ""


def _label(name: str) -> str:
    return escape(name.removesuffix("_ms").replace("_", " "))


def _show(name: str, value: object) -> str:
    """A value as a person reads it; what came from an event is escaped."""
    if value is None:
        return "none"
    if name == "error_rate" and isinstance(value, int | float):
        return f"{value:.2%}"
    if name.endswith("_ms") and isinstance(value, int | float):
        return f"{value / _MS_PER_SECOND:,.2f} s" if value >= _MS_PER_SECOND else f"{value:,.0f} ms"
    return f"{value:,}" if isinstance(value, int | float) else escape(str(value))
