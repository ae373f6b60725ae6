"""Keys of a running deployment: rotated without a gap, dead when revoked, and a flood of one is no other's business."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from scripts import keys
from tests.conftest import EmbeddedStack
from tests.e2e.conftest import Configure
from tests.e2e.http_client import ApiClient, Response

REVOKED_SECONDS_MAX = 120.0  # what is promised: a minute in a function's memory, a minute in API Gateway's
KNOWN_SECONDS_MAX = 130.0  # at once, unless others have just tried wrong keys and API Gateway keeps its "no"
LARGE_BYTES = 3_900_000
SLOW_RATE = 100_000


@pytest.fixture
def command(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """`scripts.keys` on the running stack; what it made is revoked in the end."""
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(stack.settings.state_dir))
    made: list[str] = []

    def run(*words: str) -> str:
        assert keys.main(list(words)) == 0, capsys.readouterr().err
        made.extend([words[1]] if words[0] == "create" else [])
        return capsys.readouterr().out.strip()

    yield run
    for key_id in made:
        keys.main(["revoke", key_id])


def an_event() -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "user_id": "keys", "event_name": "e", "timestamp": "2004-03-02T01:00:00Z"}


def until(ask: Callable[[], Response], status: int, seconds_max: float) -> float:
    started = time.monotonic()
    while ask().status != status:
        assert time.monotonic() - started < seconds_max, f"no {status} within {seconds_max} s"
        time.sleep(0.5)
    return time.monotonic() - started


def test_a_new_key_works_beside_the_old_one_and_is_entered_in_the_usage_plan(
    stack: EmbeddedStack, writer: ApiClient, command: Callable[..., str]
) -> None:
    key_id = f"rotation-{uuid.uuid4().hex[:8]}"
    new = ApiClient(stack.connection.api_url, command("create", key_id, "--scopes", "write"))

    until(lambda: new.post("/event", an_event()), 202, KNOWN_SECONDS_MAX)

    assert writer.post("/event", an_event()).status == 202
    assert new.get("/reports/top-users").reason == "scope_missing"
    assert f"{key_id}\twrite\tnever expires" in command("list").splitlines()
    gateway = aws_session(stack.connection.aws_endpoint).client("apigateway")
    [entered] = [each for each in gateway.get_api_keys()["items"] if each["name"].endswith(key_id)]
    plans = gateway.get_usage_plans(keyId=entered["id"])["items"]
    assert len(plans) == 1
    assert "dead within two minutes" in command("revoke", key_id)
    assert key_id not in command("list")
    assert entered["id"] not in [each["id"] for each in gateway.get_api_keys()["items"]]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_revoked_key_is_dead_on_every_route_within_two_minutes_long(
    stack: EmbeddedStack, writer: ApiClient, command: Callable[..., str]
) -> None:
    key_id = f"revoked-{uuid.uuid4().hex[:8]}"
    key = ApiClient(stack.connection.api_url, command("create", key_id, "--scopes", "write,read,admin"))
    calls: list[Callable[[], Response]] = [
        lambda: key.post("/event", an_event()),
        lambda: key.get("/reports/top-users"),
        lambda: key.get("/dead-letters"),
    ]
    for call in calls:
        until(lambda call=call: call()._replace(status=call().status // 100), 2, KNOWN_SECONDS_MAX)  # type: ignore[misc]

    command("revoke", key_id)
    started = time.monotonic()
    for call in calls:
        until(call, 403, REVOKED_SECONDS_MAX)

    assert time.monotonic() - started < REVOKED_SECONDS_MAX
    assert [call().reason for call in calls] == ["key_invalid"] * 3
    assert writer.post("/event", an_event()).status == 202


def test_a_flood_of_one_key_is_told_to_wait_and_costs_no_other_key_anything(
    stack: EmbeddedStack, writer: ApiClient, command: Callable[..., str], configured: Configure
) -> None:
    loud = ApiClient(stack.connection.api_url, command("create", f"loud-{uuid.uuid4().hex[:8]}"))

    with configured("IngestFunction", KEY_BYTES_PER_SECOND=str(SLOW_RATE)):  # the stack's own key has no cap
        until(lambda: loud.post("/event", an_event()), 202, KNOWN_SECONDS_MAX)
        for _ in range(8):  # one takes all that a key has saved up; several if they meet different processes
            answer = loud.call("POST", "/events", b" " * LARGE_BYTES, {"Content-Type": "application/json"})
            if answer.status == 429:
                break
        of_another_key = writer.post("/event", an_event())

    assert (answer.status, answer.reason) == (429, "throttled")
    assert 1 <= int(answer.headers["retry-after"]) <= LARGE_BYTES / SLOW_RATE + 1
    assert of_another_key.status == 202
