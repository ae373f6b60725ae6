"""Writes a summary now: `python -m scripts.report [daily|weekly] [--day 2026-11-20] [--out FOLDER]`.

The summary of the last whole day or week, or of the one that --day lies in, under reports/ of the archive bucket: a
page, and each of its tables as CSV. One that is there is written anew, with what came late. --out writes it into a
folder of this machine instead.

Exit codes: 0 written; 1 when S3 or ClickHouse does not answer.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from event_analytics.ports import Reading
from event_analytics.questions.query import Query, Select
from event_analytics.summary import Period, Summary, summarize, window_before, window_of
from event_analytics.summary_files import keep_files, write_files
from scripts.failures import ScriptFailed
from scripts.places import Place, add_place_options, failing_in_one_line, place_of

SECONDS_MAX = 300.0  # of one question: a person waits, and may stop it


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.bucket and not given.clickhouse_url:
        parser.error("--bucket needs --clickhouse-url")
    try:
        with failing_in_one_line():
            place = place_of(given)
            summary = _summarize(place, Period(given.period), given.day)
            names = _write(summary, given.out) if given.out else _keep(summary, place)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    print("\n".join(names))
    return 0


def _summarize(place: Place, period: Period, day: date | None) -> Summary:
    store = place.store()

    def select(query: Query) -> Reading:
        return store.ask(query.sql, query.parameters, SECONDS_MAX)

    window = window_of(period, day) if day else window_before(period, datetime.now(UTC))
    return summarize(period, window, Select(select))


def _keep(summary: Summary, place: Place) -> list[str]:
    with place.objects() as objects:
        return [f"s3://{place.bucket}/{name}" for name in keep_files(objects, summary)]


def _write(summary: Summary, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in write_files(summary):
        path = folder / file.name.rpartition("/")[2]
        path.write_bytes(file.body)
        paths.append(str(path))
    return paths


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.report",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("period", nargs="?", choices=[*Period], default=Period.DAILY)
    add_place_options(parser, with_store=True)
    parser.add_argument("--day", type=date.fromisoformat, help="2026-11-20: that day, or the week that it lies in")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write here and not to S3")
    return parser


if __name__ == "__main__":
    sys.exit(main())
