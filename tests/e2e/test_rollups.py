"""The scheduled job counts hours, and what comes later over HTTP is in the answers all the same."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from tests.e2e.http_client import ApiClient

START = datetime(2010, 5, 6, tzinfo=UTC)  # a day that no other test uses
HOURS = 8
WINDOW = {"start": START.isoformat(), "end": (START + timedelta(hours=HOURS)).isoformat()}
# Asked for the first time when all its full hours are counted: from then on the function knows what holds.
CUT_WINDOW = {**WINDOW, "end": (START + timedelta(hours=HOURS, minutes=-10)).isoformat()}


def an_event(user: str, hour: int) -> dict[str, Any]:
    at = START + timedelta(hours=hour, minutes=30)
    return {"id": str(uuid.uuid4()), "user_id": user, "event_name": "e", "timestamp": at.isoformat()}


def top_users(reader: ApiClient, window: dict[str, str] = WINDOW) -> dict[str, int]:
    answer = reader.get("/reports/top-users", **window).body
    assert answer["exact"] is True
    return {user["user_id"]: user["events"] for user in answer["users"]}


def count_hours(connection: Any) -> None:
    client = aws_session(connection.aws_endpoint).client("lambda")
    names = [function["FunctionName"] for function in client.list_functions()["Functions"]]
    name = next(name for name in names if "ReportFunction" in name)
    answer = client.invoke(FunctionName=name, Payload=b'{"jobs": ["build_rollups", "mend_rollups"]}')
    assert "FunctionError" not in answer, answer["Payload"].read()


def counted_hours(connection: Any) -> int:
    sql = "SELECT uniq(hour) AS hours FROM rollup_generations WHERE is_committed = 1 AND toDate(hour) = {day:Date}"
    rows = ClickHouseEventStore(connection.clickhouse_url).select(sql, {"day": START.date()})
    return int(rows[0]["hours"])


def test_top_users_stay_exact_when_counted_hours_are_touched(writer: ApiClient, reader: ApiClient, stack: Any) -> None:
    events = [an_event(user, hour) for hour in range(HOURS) for user in ("u1", "u1", "u2")]
    assert writer.post("/events", {"events": events}).status == 202
    stack.wait_until_delivered()
    assert top_users(reader) == {"u1": 16, "u2": 8}

    count_hours(stack.connection)
    assert counted_hours(stack.connection) == HOURS
    assert top_users(reader) == {"u1": 16, "u2": 8}
    assert [top_users(reader, CUT_WINDOW) for _ in range(2)] == [{"u1": 16, "u2": 8}] * 2

    assert writer.post("/event", an_event("late", 3)).status == 202
    assert writer.call("DELETE", f"/event/{events[0]['id']}").status == 202
    stack.wait_until_delivered()
    assert top_users(reader) == top_users(reader, CUT_WINDOW) == {"u1": 15, "u2": 8, "late": 1}

    count_hours(stack.connection)
    assert top_users(reader) == top_users(reader, CUT_WINDOW) == {"u1": 15, "u2": 8, "late": 1}
