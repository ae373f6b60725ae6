"""Archive against ClickHouse for a window: `python -m scripts.verify --start T --end T [--json] [--list N]`.

Compares all that was accepted from --start until before --end (whole milliseconds, UTC), hour by hour: what is archived
and not in ClickHouse (missing), in ClickHouse and not archived (extra), counted twice or by other key fields than those
of its first accepted create (conflicting). Deleted events are no difference. What is still under way is one: let the
window end before what load and archive have not got yet. Changes nothing.

Exit codes: 0 no difference; 1 differences, each kind counted and listed; also 1 when S3 or ClickHouse does not answer.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from event_analytics.integrity import LISTED_MAX, Difference, Kind, Report
from event_analytics.integrity_run import check_window
from event_analytics.retention import floor_of
from scripts.archive import read_instant
from scripts.failures import ScriptFailed
from scripts.places import add_place_options, failing_in_one_line, place_of

EXIT_DIFFERENCES: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.bucket and not given.clickhouse_url:
        parser.error("--bucket needs --clickhouse-url")
    if given.end <= given.start:
        parser.error("--end lies after --start")
    try:
        with failing_in_one_line():
            place = place_of(given)
            with place.objects() as objects:
                floor = floor_of(given.end, given.event_retention_days)
                report = check_window(place.store(), objects, given.start, given.end, given.list, event_floor=floor)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    print(msgspec.json.encode(_as_json(report)).decode() if given.json else "\n".join(_lines_of(report)))
    return 0 if report.is_clean else EXIT_DIFFERENCES


def _as_json(report: Report) -> dict[str, Any]:
    plain = {name: getattr(report, name) for name in report.__struct_fields__}
    return {**plain, "clean": report.is_clean, "listed": [each._asdict() for each in report.listed]}


def _lines_of(report: Report) -> list[str]:
    archived = f"{report.archived_events:,} events, {report.archived_changes:,} changes"
    differing = ", ".join(f"{kind.value} {getattr(report, kind.value):,}" for kind in Kind)
    lines = [
        f"archived: {archived}, {report.undecodable:,} records that hold neither",
        f"{differing}; sent under several keys and settled: {report.resolved:,}",
        *(f"UNREADABLE {name}" for name in report.unreadable),
        *map(_line_of, report.listed),
    ]
    for kind in Kind:
        left = getattr(report, kind.value) - len(report.ids(kind))
        if left:
            lines.append(f"{left:,} more are {kind.value}")
    return [*lines, "no difference" if report.is_clean else "archive and ClickHouse differ"]


def _line_of(difference: Difference) -> str:
    sides = [f"archived {difference.archived}"] * bool(difference.archived)
    sides += [f"stored {difference.stored}"] * bool(difference.stored)
    return "  ".join([f"{difference.kind.value.upper()} {difference.topic} {difference.id}", *sides])


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.verify",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_options(parser, with_store=True)
    parser.add_argument(
        "--start", type=read_instant, required=True, help="accepted then or later: 2026-01-02T03:00:00Z"
    )
    parser.add_argument("--end", type=read_instant, required=True, help="accepted before")
    parser.add_argument("--list", type=int, default=LISTED_MAX, metavar="N", help="name up to N ids of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--event-retention-days", type=int, default=0, metavar="N", help="parameter EventRetentionDays of the stack"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
