"""A summary -> the files that are kept of it in S3: a page for people, and each table as CSV."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

from event_analytics.ports import ErasableStore
from event_analytics.summary import Period, Summary, Table
from event_analytics.summary_page import USER_COLUMN, users_on_page, write_page

REPORTS_PREFIX: Final = "reports/v1/"


class ReportFile(NamedTuple):
    """One object: its name and body."""

    name: str
    body: bytes


def folder_of(period: Period, first_day: date) -> str:
    """Where the files of a summary lie; ends with a slash."""
    return f"{REPORTS_PREFIX}period={period}/date={first_day.isoformat()}/"


def write_files(summary: Summary) -> Iterator[ReportFile]:
    """The page last: who finds it finds the tables."""
    folder = folder_of(summary.period, summary.window.start.date())
    for table in (summary.series, *summary.tables):
        yield ReportFile(f"{folder}{table.name}.csv", _write_csv(table))
    yield ReportFile(f"{folder}summary.html", write_page(summary))


def keep_files(objects: ErasableStore, summary: Summary) -> list[str]:
    """Names of the files, which are stored now in place of those of an earlier run."""
    names = []
    for file in write_files(summary):
        if not objects.put_new(file.name, file.body):
            objects.rewrite(file.name, lambda _old, body=file.body: body)  # type: ignore[misc]
        names.append(file.name)
    return names


def users_in(name: str, body: bytes) -> set[str]:
    """Ids of the users whom a file names.

    Raises:
        UnicodeDecodeError: it is none of ours.
    """
    text = body.decode()
    if name.endswith(".html"):
        return users_on_page(text)
    return {row[USER_COLUMN] for row in csv.DictReader(io.StringIO(text, newline="")) if row.get(USER_COLUMN)}


def describe_summary(summary: Summary, names: list[str]) -> tuple[str, str]:
    """Subject and text of a notice; it names no user and quotes no event."""
    first = summary.window.start.date().isoformat()
    figures = ", ".join(f"{name} {summary.totals.get(name)}" for name in ("events", "users", "errors", "p95_ms"))
    return f"Tallystream: {summary.period} summary of {first}", "\n".join([figures, *names])


def _write_csv(table: Table) -> bytes:
    """RFC 4180 with a header row; null is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([row.get(name) for name in table.columns] for row in table.rows)
    return text.getvalue().encode()
