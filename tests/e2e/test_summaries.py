"""The daily summary is written by its schedule and by the command, and counts what was sent."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime.settings import REPOSITORY
from tests.e2e.http_client import ApiClient

FIRING_SECONDS_MAX = 150  # the schedule fires every minute; the first may be a minute away, and the machine busy
POLL_SECONDS = 0.5


@pytest.fixture
def objects(stack: Any) -> Any:
    client = aws_session(stack.connection.aws_endpoint).client("s3")
    yield client
    client.close()


def names_under(objects: Any, bucket: str, prefix: str) -> list[str]:
    return [each["Key"] for each in objects.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def test_the_schedule_writes_the_summary_of_yesterday(stack: Any, objects: Any) -> None:
    bucket, deadline = stack.connection.archive_bucket, time.monotonic() + FIRING_SECONDS_MAX
    days = [(datetime.now(UTC) - timedelta(days=1)).date().isoformat()]
    found: list[str] = []
    while not any(name.endswith("summary.html") for name in found):
        assert time.monotonic() < deadline, f"nothing but {found}"
        time.sleep(POLL_SECONDS)
        days[1:] = [(datetime.now(UTC) - timedelta(days=1)).date().isoformat()]  # midnight may pass
        found = [name for day in days for name in names_under(objects, bucket, f"reports/v1/period=daily/date={day}/")]

    assert {name.rpartition("/")[2] for name in found} == {
        "conversations.csv", "errors.csv", "latency.csv", "summary.html", "top_users.csv", "volume.csv",
    }  # fmt: skip


def test_the_command_writes_the_week_that_it_is_told(stack: Any, writer: ApiClient, tmp_path: Path) -> None:
    user = "summary-<b>ada</b>"  # in a week that no other test uses
    events = [
        {"user_id": user, "event_name": "summed", "timestamp": f"2000-05-{day}T10:00:00Z", "latency_ms": 100}
        for day in range(15, 22)
    ]
    assert writer.post("/events", {"events": events}).body["accepted"] == len(events)
    stack.wait_until_delivered()

    command = [sys.executable, "-m", "scripts.report", "weekly", "--day", "2000-05-17", "--out", str(tmp_path)]
    environment = {"TALLYSTREAM_STATE_DIR": str(stack.settings.state_dir)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "top_users.csv").read_text("utf-8").splitlines() == ["user_id,events", f"{user},7"]
    assert "summary-&lt;b&gt;ada&lt;/b&gt;" in (tmp_path / "summary.html").read_text("utf-8")
