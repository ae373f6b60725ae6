"""Windows of summaries, their page and their files."""

import csv
import io
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from event_analytics.ports import Reading
from event_analytics.questions.query import Query, Select
from event_analytics.summary import Period, Summary, summarize, window_before, window_of
from event_analytics.summary_files import describe_summary, keep_files, users_in, write_files
from event_analytics.summary_page import write_page
from event_analytics.windows import Window
from tests.fakes import FakeObjectStore

XSS = "<script>alert(1)</script>\"'&"
DAY = window_of(Period.DAILY, date(2026, 11, 21))


def instant(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        (Period.DAILY, instant(22, 3), instant(21), instant(22)),
        (Period.DAILY, instant(22), instant(21), instant(22)),
        (Period.WEEKLY, instant(22, 3), instant(9), instant(16)),  # a Sunday
        (Period.WEEKLY, instant(23), instant(16), instant(23)),  # a Monday
    ],
)
def test_the_last_whole_period_before_now(period: Period, now: datetime, start: datetime, end: datetime) -> None:
    assert window_before(period, now) == Window(start, end)


@pytest.mark.parametrize("day", [16, 19, 22])
def test_a_week_is_found_by_any_of_its_days(day: int) -> None:
    assert window_of(Period.WEEKLY, date(2026, 11, day)) == Window(instant(16), instant(23))


def answer(query: Query) -> Reading:
    """One row for every question, all texts hostile."""
    point = {"events": 40, "users": 3, "errors": 10, "error_rate": 0.25, "timed": 4}
    point |= {"quantiles": [7.0, 1_500.0], "is_total": 0}
    if "WITH ROLLUP" in query.sql:
        midnight = int(DAY.start.timestamp())
        rows: list[dict[str, Any]] = [{**point, "start_s": midnight}, {**point, "start_s": 0, "is_total": 1}]
    elif "FROM user_hours" in query.sql:
        rows = [{"user_id": XSS, "events": 40, "events_total": 40, "keys_total": 1, "is_whole": 1}]
    elif "quantilesExact(0.5, 0.95, 0.99)" in query.sql:
        rows = [{"event_name": XSS, "events": 40, "quantiles": [7.0, 1_500.0, 2_000.0]}]
    else:
        rows = []
    return Reading(rows, rows_read=len(rows), bytes_read=0, elapsed_ms=0.0)


class Balanced(HTMLParser):
    """Fails on tags that do not close; keeps all texts and tags."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def summary() -> Summary:
    return summarize(Period.DAILY, DAY, Select(answer))


def test_what_came_from_events_is_text_and_nothing_else(summary: Summary) -> None:
    page = Balanced(write_page(summary))

    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})
    assert XSS in page.texts
    assert not re.search(r"(src|href|url\()", write_page(summary).decode())


def test_the_page_shows_figures_as_people_read_them(summary: Summary) -> None:
    texts = " ".join(Balanced(write_page(summary)).texts)

    for shown in ("Saturday, 2026-11-21", "25.00%", "1.50 s", "7 ms", "Most active users", "highest 40"):
        assert shown in texts


def test_without_events_the_page_says_so() -> None:
    nothing = Select(lambda _: Reading([], 0, 0, 0.0))
    empty = summarize(Period.WEEKLY, window_of(Period.WEEKLY, DAY.start.date()), nothing)

    texts = " ".join(Balanced(write_page(empty)).texts)

    assert "No event in this window." in texts
    assert "Week of 2026-11-16 to 2026-11-22" in texts


def test_every_table_is_a_file_with_its_columns(summary: Summary) -> None:
    files = {file.name.rpartition("/")[2]: file.body for file in write_files(summary)}
    users = list(csv.reader(io.StringIO(files["top_users.csv"].decode(), newline="")))

    assert users == [["user_id", "events"], [XSS, "40"]]
    assert list(files)[-1] == "summary.html"
    assert len(list(csv.reader(io.StringIO(files["volume.csv"].decode())))) == 1 + 24
    assert files["conversations.csv"].splitlines() == [b"conversation_id,events,errors,error_rate,p95_ms"]


def test_a_later_run_takes_the_place_of_the_earlier(summary: Summary) -> None:
    objects = FakeObjectStore()
    names = keep_files(objects, summary)
    empty = summary._replace(tables=tuple(table._replace(rows=()) for table in summary.tables))

    assert keep_files(objects, empty) == names
    assert names[-1] == "reports/v1/period=daily/date=2026-11-21/summary.html"
    assert XSS.encode() not in b"".join(objects.objects.values())
    assert len(objects.objects) == len(names) == 6


def test_a_notice_names_files_and_figures_and_no_user(summary: Summary) -> None:
    subject, text = describe_summary(summary, ["reports/v1/summary.html"])

    assert subject == "Tallystream: daily summary of 2026-11-21"
    assert text.splitlines() == ["events 40, users 3, errors 10, p95_ms 1500.0", "reports/v1/summary.html"]


def test_a_file_says_whom_it_names(summary: Summary) -> None:
    named = {file.name.rpartition("/")[2]: users_in(file.name, file.body) for file in write_files(summary)}

    assert {name for name, users in named.items() if users == {XSS}} == {"top_users.csv", "summary.html"}
    assert not any(users for name, users in named.items() if name not in ("top_users.csv", "summary.html"))
