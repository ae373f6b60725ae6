"""What is behind ingest may hang, die or be replaced: writes go on, and everything acknowledged is counted once."""

import io
import os
import signal
import threading
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient, Response

AT = "2003-02-01T00:00:00Z"
DAY = {"start": "2003-02-01T00:00:00Z", "end": "2003-02-02T00:00:00Z"}
ANSWER_SECONDS_MAX = 9.0  # of a write, whatever is away
SENDING_SECONDS = 0.5  # before, between and after the deploys
TAKEN = 202
TRIES_MAX = 200  # of one batch: a function that does not start again is a failure, not a reason to wait
NEW_FUNCTIONS = ("Ingest", "Load", "Archive")


def some_events(user_id: str, number: int) -> list[dict[str, Any]]:
    return [{"id": str(uuid.uuid4()), "user_id": user_id, "event_name": "e", "timestamp": AT} for _ in range(number)]


def post_in_time(writer: ApiClient, events: list[dict[str, Any]]) -> Response:
    began = time.monotonic()
    answer = writer.post("/events", {"events": events})
    assert time.monotonic() - began < ANSWER_SECONDS_MAX
    return answer


def events_of(reader: ApiClient, user_id: str) -> int:
    [user] = reader.get("/reports/top-users", user_id=user_id, **DAY).body["users"]
    return int(user["events"])


@pytest.fixture
def frozen_clickhouse(stack: EmbeddedStack) -> Iterator[None]:
    """ClickHouse takes connections and answers nothing."""
    os.kill(stack.supervisor.pid_of("clickhouse"), signal.SIGSTOP)
    yield
    stack.restart("clickhouse")


def test_writes_go_on_while_clickhouse_hangs_and_when_it_is_gone(
    stack: EmbeddedStack, writer: ApiClient, reader: ApiClient, frozen_clickhouse: None
) -> None:
    user_id = f"store-away-{uuid.uuid4()}"

    while_hanging = post_in_time(writer, some_events(user_id, 20))
    stack.supervisor.kill("clickhouse")
    while_gone = post_in_time(writer, some_events(user_id, 20))
    report = reader.get("/reports/top-users", user_id=user_id, **DAY)
    stack.restart("clickhouse")
    stack.wait_until_delivered()

    items = [*while_hanging.body["items"], *while_gone.body["items"]]
    assert [item["status"] for item in items] == ["accepted"] * 40
    assert (report.status, report.reason, "retry-after" in report.headers) == (503, "store_unavailable", True)
    assert events_of(reader, user_id) == 40


class Sender(threading.Thread):
    """Sends batches of a user's events until told to stop; what was not taken is sent again with the same ids."""

    def __init__(self, writer: ApiClient, user_id: str) -> None:
        super().__init__()
        self._writer = writer
        self._user_id = user_id
        self._is_over = threading.Event()
        self.accepted = 0
        self.statuses: set[int] = set()

    def run(self) -> None:
        while not self._is_over.is_set():
            events = some_events(self._user_id, 10)
            if not any(self._is_taken(events) for _ in range(TRIES_MAX)):
                return

    def _is_taken(self, events: list[dict[str, Any]]) -> bool:
        status = self._writer.post("/events", {"events": events}).status
        self.statuses.add(status)
        self.accepted += len(events) if status == TAKEN else 0
        return status == TAKEN

    def stop(self) -> None:
        self._is_over.set()
        self.join(timeout=60)
        assert not self.is_alive()


def new_version(running: bytes) -> bytes:
    """A zip that differs from the one that runs, and does the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(running)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            marked = f"\n# {uuid.uuid4()}\n".encode() if name == "app.py" else b""
            new.writestr(name, old.read(name) + marked)
    return packed.getvalue()


def test_a_new_version_under_load_loses_nothing(stack: EmbeddedStack, writer: ApiClient, reader: ApiClient) -> None:
    client = aws_session(stack.connection.aws_endpoint).client("lambda")
    names = [each["FunctionName"] for each in client.list_functions()["Functions"]]
    user_id = f"deploy-{uuid.uuid4()}"
    sender = Sender(writer, user_id)
    sender.start()
    try:
        for part in NEW_FUNCTIONS:
            time.sleep(SENDING_SECONDS)  # the load goes on before, between and after
            name = next(name for name in names if f"{part}Function" in name)
            running = client.get_function(FunctionName=name)
            with urllib.request.urlopen(running["Code"]["Location"], timeout=30) as code:
                deployed = client.update_function_code(FunctionName=name, ZipFile=new_version(code.read()))
            assert deployed["CodeSha256"] != running["Configuration"]["CodeSha256"]
        time.sleep(SENDING_SECONDS)
    finally:
        sender.stop()
    stack.wait_until_delivered()

    assert sender.accepted > 100
    assert not sender.statuses - {TAKEN, 429, 500, 502, 503}
    assert events_of(reader, user_id) == sender.accepted
