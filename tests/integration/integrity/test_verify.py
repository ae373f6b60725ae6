"""Archive against ClickHouse on the embedded stack: whatever happens behind the product's back is found and named."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.erasure_index import ErasureIndex
from event_analytics.folding import fold_pending
from event_analytics.integrity import Kind, Report
from event_analytics.integrity_cursor import (
    HOUR_SECONDS,
    LATE_HOURS,
    Cursor,
    count_objects,
    keep_cursor,
    read_cursor,
)
from event_analytics.integrity_job import SETTLE_SECONDS, Sides, Verifier
from event_analytics.integrity_run import check_window
from event_analytics.observability import InvocationLine
from scripts import verify
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient

JSON = {"Content-Type": "application/json"}
EVENTS = 40


class History:
    """Events, updates and deletes that were accepted in a window of their own, delivered. `ids` are all of them."""

    def __init__(self, stack: EmbeddedStack, objects: S3ObjectStore) -> None:
        self.store = ClickHouseEventStore(stack.connection.clickhouse_url)
        self.objects = objects
        self.ids = [str(uuid.uuid4()) for _ in range(EVENTS)]
        self.conversation = uuid.uuid4().hex
        writer = ApiClient(stack.connection.api_url, stack.connection.write_key)
        self.start = datetime.now(UTC)
        time.sleep(0.01)  # window ends are whole milliseconds
        assert writer.post("/events", {"events": [self.event(identifier) for identifier in self.ids]}).status == 202
        for identifier in self.ids[:5]:
            assert writer.call("PUT", f"/event/{identifier}", b'{"latency_ms": 5}', JSON).status == 202
        for identifier in self.ids[5:8]:
            assert writer.call("DELETE", f"/event/{identifier}").status == 202
        time.sleep(0.01)
        self.end = datetime.now(UTC)
        stack.wait_until_delivered()

    def event(self, identifier: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": identifier, "user_id": "u", "conversation_id": self.conversation, "event_name": "e",
            "timestamp": "2004-02-03T04:05:06.789Z", **fields,
        }  # fmt: skip

    def insert(self, identifier: str, accepted: datetime, **fields: Any) -> None:
        """A row that no record made."""
        row = {**self.event(identifier, **fields), "accepted_us": int(accepted.timestamp() * 1_000_000)}
        self.store.insert_rows("events", json.dumps(row).encode(), uuid.uuid4().hex)

    def check(self) -> Report:
        return check_window(self.store, self.objects, self.start, self.end)

    @property
    def hour(self) -> int:
        """In which it was accepted, as the Unix second of its start."""
        return int(self.start.timestamp()) // HOUR_SECONDS * HOUR_SECONDS

    def run_job(self, hours: int = 1) -> tuple[InvocationLine, list[Report]]:
        """What is due so many hours after the start of its hour, and a while."""
        line = InvocationLine()
        sides = Sides(self.store, self.objects, ErasureIndex())
        now = self.hour + hours * HOUR_SECONDS + SETTLE_SECONDS
        return line, Verifier().run(sides, line, now, is_over=lambda: False)

    def arguments(self) -> list[str]:
        return ["--start", self.start.isoformat(), "--end", self.end.isoformat()]


@pytest.fixture
def history(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(stack.settings.state_dir))
    client = aws_session(stack.connection.aws_endpoint).client("s3")
    yield History(stack, S3ObjectStore(stack.connection.archive_bucket, client))
    client.close()


def test_what_was_accepted_is_clean_and_the_script_says_so(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.main(history.arguments()) == 0
    shown = capsys.readouterr().out

    assert f"archived: {EVENTS} events, 8 changes, 0 records that hold neither" in shown
    assert "no difference" in shown


def test_a_row_that_was_taken_away_is_missing(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    history.store.command(f"DELETE FROM events WHERE id = '{history.ids[20]}'")

    assert verify.main([*history.arguments(), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["missing"], report["extra"], report["conflicting"], report["clean"]) == (1, 0, 0, False)
    assert [(each["kind"], each["topic"], each["id"]) for each in report["listed"]] == [
        ("missing", "events", history.ids[20])
    ]


def test_a_row_that_nobody_archived_is_extra(history: History) -> None:
    identifier = str(uuid.uuid4())
    history.insert(identifier, history.start + (history.end - history.start) / 2)

    report = history.check()

    assert (report.missing, report.extra, report.conflicting) == (0, 1, 0)
    assert [str(each) for each in report.ids(Kind.EXTRA)] == [identifier]


def test_a_change_that_the_log_lost_is_missing(history: History) -> None:
    history.store.command(f"DELETE FROM event_changes WHERE id = '{history.ids[0]}'")

    assert [(each.kind, each.topic, str(each.id)) for each in history.check().listed] == [
        (Kind.MISSING, "event-changes", history.ids[0])
    ]


def test_an_id_that_counts_twice_is_in_conflict_until_the_scheduled_check_settles_it(history: History) -> None:
    later = history.end + timedelta(seconds=1)
    history.insert(history.ids[30], later, timestamp="2004-02-03T09:05:06.789Z")
    history.insert(history.ids[5], later, timestamp="2004-02-03T09:05:06.789Z")  # deleted: this one alone counts now
    keep_cursor(history.objects, Cursor(history.hour, history.hour + HOUR_SECONDS))

    fold_pending(history.store, time.time(), lambda: True)  # changes that overtook their events

    found = history.check()
    line, _ = history.run_job()
    left = history.check()

    assert {str(each) for each in found.ids(Kind.CONFLICTING)} == {history.ids[30], history.ids[5]}
    assert line.counts["conflicting_events"] >= 2
    assert line.counts["settled_conflicts"] >= 2
    assert (left.is_clean, left.resolved) == (True, 2)
    sql = "SELECT count() AS n FROM events FINAL WHERE conversation_id = {c:String}"
    assert history.store.select(sql, {"c": history.conversation}) == [{"n": EVENTS - 3}]


def test_a_checked_hour_is_checked_again_once_the_archive_has_more_of_it(history: History) -> None:
    hour_end = history.hour + HOUR_SECONDS
    # The stack may have been started, and sent events to, before this hour began.
    counts = count_objects(history.objects, hour_end - LATE_HOURS * HOUR_SECONDS, hour_end)
    has_now = counts[history.hour]

    checked = {}
    for had in (has_now, has_now - 1):
        keep_cursor(history.objects, Cursor(hour_end, history.hour, objects={**counts, history.hour: had}))
        _, reports = history.run_job()
        checked[had] = [int(report.start.timestamp()) for report in reports]

    assert checked == {has_now: [], has_now - 1: [history.hour]}
    cursor = read_cursor(history.objects)
    assert cursor is not None
    assert (cursor.again, cursor.objects[history.hour]) == ((), has_now)
