"""The README's calls work as they stand, on the running stack, and its SQL answers what they answer."""

import os
import re
import subprocess
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from tests.e2e.http_client import ApiClient
from tests.plain_sql import PlainQuestion, as_answered, read_plain_questions

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCK = re.search(r"<!-- curl: begin -->\n```console\n(.*?)```\n<!-- curl: end -->", README, re.DOTALL)
CALLS = re.split(r"\n(?=curl )", BLOCK[1].strip()) if BLOCK else []
PLAIN_QUESTIONS = read_plain_questions()


def test_the_readme_shows_how_to_write_and_how_to_read() -> None:
    assert any('"$API_URL/events"' in call for call in CALLS)
    assert any("/reports/top-users" in call for call in CALLS)


@pytest.mark.parametrize("call", CALLS, ids=[re.search(r"\$API_URL(\S+?)[\"?]", call)[1] for call in CALLS])
def test_each_call_of_the_readme_answers(stack: Any, call: str) -> None:
    connection = stack.connection
    keys = {"API_URL": connection.api_url, "WRITE_KEY": connection.write_key, "READ_KEY": connection.read_key}
    deadline = time.monotonic() + 20

    def run() -> subprocess.CompletedProcess[str]:
        command = call.strip().replace("curl ", "curl -sS --fail-with-body --max-time 20 ", 1)
        return subprocess.run(
            ["bash", "-c", command], env={**os.environ, **keys}, capture_output=True, text=True, check=False
        )

    done = run()
    while '"events":[]' in done.stdout and time.monotonic() < deadline:
        done = run()  # what the first call sent is on its way
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"events":[]' not in done.stdout


@pytest.fixture(scope="module")
def searched(stack: Any, writer: ApiClient) -> str:
    """A conversation of which every question of the README tells something."""
    conversation_id, now = f"readme-{uuid.uuid4()}", datetime.now(UTC)
    events = [
        {
            "user_id": f"reader-{number % 2}",
            "conversation_id": conversation_id,
            "event_name": "search",
            "timestamp": (now - timedelta(minutes=number)).isoformat(),
            "error": "timeout" if number % 3 else None,
            "latency_ms": 10 * number,
            "input": f"where is {number}?",
        }
        for number in range(6)
    ]
    assert writer.post("/events", {"events": events}).body["accepted"] == len(events)
    stack.wait_until_delivered()
    return conversation_id


@pytest.mark.parametrize("plain", PLAIN_QUESTIONS.values(), ids=PLAIN_QUESTIONS)
def test_the_sql_of_the_readme_gives_the_rows_of_its_url(
    plain: PlainQuestion, stack: Any, reader: ApiClient, searched: str
) -> None:
    answer = reader.call("GET", plain.url.replace("{conversation_id}", searched))
    told = {name: answer.body[name] for name in ("start", "end") if answer.body[name]}
    rows = ClickHouseEventStore(stack.connection.clickhouse_url).select(
        plain.sql, plain.parameters({**told, "conversation_id": searched})
    )

    shown = next(value for value in answer.body.values() if isinstance(value, list))
    assert answer.status == 200
    assert [as_answered(row) for row in rows] == [{name: each[name] for name in rows[0]} for each in shown] != []
