"""A question that is too heavy is refused by the limit it meets, and however many are asked, writes go on."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import EmbeddedStack
from tests.e2e.conftest import Configure
from tests.e2e.http_client import ApiClient

START = datetime(2012, 3, 5, tzinfo=UTC)  # a day that no other test uses
DAY = {"start": START.isoformat(), "end": (START + timedelta(days=1)).isoformat()}
WIDE_EVENTS = 100
NUMBERS = 8_000  # in the properties of each, 100 kB that every comparison reads anew
A_REQUEST = 25
# As many comparisons as are taken: over those events some 200 ms of work and 10 MB of memory.
HEAVY = {**DAY, **{f"properties.n{number}": f"gte:{number}" for number in range(16)}}
LIMITS = [
    ("ANSWER_ROWS_READ_MAX", "50", "reads too many rows"),
    ("ANSWER_MEMORY_BYTES_MAX", "5000000", "needs too much memory"),
    ("ANSWER_SECONDS_MAX", "0.05", "takes too long"),
]
ASKERS = 3
ASKED = 12
POSTED_MIN = 5  # batches while questions are asked: a write takes a fraction of what they take


def wide_event(number: int) -> dict[str, Any]:
    properties = {"pad": [0.123456789] * NUMBERS, **{f"n{name}": name for name in range(16)}}
    at = (START + timedelta(minutes=number)).isoformat()
    return {"user_id": "wide", "event_name": "wide", "timestamp": at, "properties": properties}


def some_events(user_id: str) -> list[dict[str, Any]]:
    at = (START + timedelta(hours=20)).isoformat()
    return [{"id": str(uuid.uuid4()), "user_id": user_id, "event_name": "e", "timestamp": at} for _ in range(10)]


@pytest.fixture(scope="module")
def wide(stack: EmbeddedStack, writer: ApiClient) -> None:
    for first in range(0, WIDE_EVENTS, A_REQUEST):
        events = [wide_event(number) for number in range(first, first + A_REQUEST)]
        assert writer.post("/events", {"events": events}).status == 202
    stack.wait_until_delivered()


@pytest.mark.parametrize(("variable", "value", "message"), LIMITS, ids=[each[0] for each in LIMITS])
def test_a_question_over_a_limit_is_422_and_says_which(
    variable: str, value: str, message: str, reader: ApiClient, configured: Configure, wide: None
) -> None:
    with configured("QueryFunction", **{variable: value}):
        answer = reader.get("/reports/errors", **HEAVY)

    assert (answer.status, answer.reason) == (422, "query_too_heavy")
    assert message in answer.body["error"]["message"]


def test_many_heavy_questions_at_once_keep_no_event_from_being_taken_and_counted(
    stack: EmbeddedStack, writer: ApiClient, reader: ApiClient, configured: Configure, wide: None
) -> None:
    user_id, posted = f"beside-{uuid.uuid4()}", []
    with configured("QueryFunction", ANSWER_SECONDS_MAX="0.1"), ThreadPoolExecutor(ASKERS) as askers:
        asked = [askers.submit(reader.get, "/reports/errors", **HEAVY) for _ in range(ASKED)]
        while not all(question.done() for question in asked):
            posted.append(writer.post("/events", {"events": some_events(user_id)}))
    stack.wait_until_delivered()

    assert {(each.result().status, each.result().reason) for each in asked} == {(422, "query_too_heavy")}
    assert {(each.status, each.body["accepted"]) for each in posted} == {(202, 10)}
    assert len(posted) >= POSTED_MIN
    [user] = reader.get("/reports/top-users", user_id=user_id, **DAY).body["users"]
    assert user["events"] == 10 * len(posted)
