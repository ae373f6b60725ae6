"""The SDK and the command against the running stack: what is tracked shows in the reports, once, whatever breaks."""

import json
import random
import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from programs import start_program
from tallystream import Client, EventDeleted, KeyRefused, Limits, NotFound, TallystreamError
from tallystream.cli.app import run

ROOT = Path(__file__).parents[2]
QUICK = Limits(batch_events=100, flush_interval_ms=20, save_interval_ms=5, exit_timeout_seconds=1)
EXAMPLE = re.compile(r"<!-- first example: begin -->\n```python\n(.*?)```\n<!-- first example: end -->", re.DOTALL)


@pytest.fixture
def reading(stack: Any) -> Iterator[Client]:
    with Client(stack.connection.api_url, stack.connection.read_key, spool=False) as client:
        yield client


class Day:
    """A day in the past that no other test uses, and users that belong to it."""

    def __init__(self) -> None:
        self.marker = uuid.uuid4().hex[:8]
        self.start = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=random.randrange(3_000))
        self.window = {"start": self.start, "end": self.start + timedelta(days=1)}

    def track(self, client: Client, number: int) -> tuple[str, str]:
        user = f"{self.marker}-u{number % 7}"
        moment = self.start + timedelta(seconds=number)
        return user, client.track_event("tracked", user_id=user, conversation_id=self.marker, timestamp=moment)


class FlakyLine:
    """A way to the API on which every connection breaks: in a request, in an answer, or after some of both."""

    BYTES_TO_API = (100, 20_000, 1_000_000)
    BYTES_BACK = (1_000_000, 1_000_000, 40)

    def __init__(self, api_url: str) -> None:
        self._to = urlsplit(api_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._count = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{self._to.path}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._count += 1
            threading.Thread(target=self._carry, args=(client, self._count % 3), daemon=True).start()

    def _carry(self, client: socket.socket, kind: int) -> None:
        with client, socket.create_connection((self._to.hostname or "", self._to.port or 80)) as api:
            back = threading.Thread(target=self._copy, args=(api, client, self.BYTES_BACK[kind]), daemon=True)
            back.start()
            self._copy(client, api, self.BYTES_TO_API[kind])
            back.join(10)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, bytes_left: int) -> None:
        try:
            while bytes_left > 0 and (data := source.recv(65_536)):
                target.sendall(data[:bytes_left])
                bytes_left -= len(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def test_over_a_line_that_breaks_every_event_counts_once(stack: Any, reading: Client, tmp_path: Path) -> None:
    line, day = FlakyLine(stack.connection.api_url), Day()
    errors: list[TallystreamError] = []
    limits = Limits(batch_events=50, flush_interval_ms=5, save_interval_ms=5)
    with Client(line.url, stack.connection.write_key, spool=tmp_path, limits=limits, on_error=errors.append) as client:
        sent = Counter(day.track(client, number)[0] for number in range(500))
        assert client.flush(60), client.stats()
        assert client.stats().acknowledged == 500
    line.close()
    stack.wait_until_delivered()

    report = reading.top_users(**day.window)

    assert errors
    assert {user.user_id: user.events for user in report.users} == sent
    assert len(list(reading.conversation(day.marker, page_size=200))) == 500


def test_a_killed_process_and_the_next_one_lose_nothing_and_count_once(
    stack: Any, reading: Client, tmp_path: Path
) -> None:
    day = Day()
    code = """
    import sys, time
    from datetime import datetime, timedelta
    from tallystream import Client, Limits
    url, key, spool, marker, start = sys.argv[1:]
    limits = Limits(batch_events=100, flush_interval_ms=1, save_interval_ms=1)
    client = Client(url, key, spool=spool, limits=limits)
    for number in range(3_000):
        moment = datetime.fromisoformat(start) + timedelta(seconds=number)
        client.track_event("tracked", user_id=f"{marker}-u{number % 7}", timestamp=moment)
    while client.stats().queued or not client.stats().acknowledged:
        time.sleep(0.001)
    print(client.stats().acknowledged, flush=True)
    time.sleep(60)
    """
    connection = stack.connection
    with start_program(
        code, connection.api_url, connection.write_key, tmp_path, day.marker, day.start.isoformat()
    ) as process:
        assert process.stdout is not None
        acknowledged = int(process.stdout.readline())
        process.kill()
    with Client(stack.connection.api_url, stack.connection.write_key, spool=tmp_path, limits=QUICK) as client:
        assert client.flush(60), client.stats()
        recovered = client.stats().recovered
    stack.wait_until_delivered()

    report = reading.top_users(**day.window)

    assert 0 < recovered <= 3_000
    assert recovered + acknowledged >= 3_000
    assert report.events_total == 3_000


def test_an_update_and_a_delete_show(stack: Any, reading: Client) -> None:
    day = Day()
    with Client(stack.connection.api_url, stack.connection.write_key, spool=False, limits=QUICK) as client:
        (_, changed), (_, deleted) = day.track(client, 1), day.track(client, 2)
        assert client.flush()
        stack.wait_until_delivered()  # a change that overtakes its event shows within a minute, not at once
        client.update_event(changed, error="timeout", latency_ms=5, properties={"a": {"b": 1}})
        client.delete_event(deleted)
        assert client.flush()
    stack.wait_until_delivered()

    deadline = time.monotonic() + 30
    while (event := reading.event(changed, wait_seconds=5)).error is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (event.error, event.latency_ms, event.properties) == ("timeout", 5.0, {"a": {"b": 1}})
    with pytest.raises(EventDeleted):
        reading.event(deleted)
    with pytest.raises(NotFound):
        reading.event(uuid.uuid4())
    assert [row.errors for row in reading.errors(**day.window).errors] == [1]


def test_every_report_equals_a_count_in_python(stack: Any, reading: Client) -> None:
    day = Day()
    with Client(stack.connection.api_url, stack.connection.write_key, spool=False, limits=QUICK) as client:
        for number in range(60):
            client.track_event(
                "even" if number % 2 == 0 else "odd", user_id=f"{day.marker}-u{number % 3}", input=f"{number}",
                conversation_id=f"{day.marker}-c{number % 4}", latency_ms=number, properties={"number": number},
                error="timeout" if number % 5 == 0 else None, timestamp=day.start + timedelta(minutes=number),
            )  # fmt: skip
        assert client.flush()
    stack.wait_until_delivered()

    assert {user.events for user in reading.top_users(**day.window).users} == {20}
    latency = {row.event_name: (row.events, row.p50_ms) for row in reading.latency(**day.window).latency}
    assert set(latency) == {"even", "odd"}
    assert all(events == 30 for events, _ in latency.values())
    errors = reading.errors(**day.window)
    assert (errors.errors_total, errors.events_total) == (12, 60)
    worst = reading.top_conversations(by="errors", **day.window).conversations
    assert sum(row.errors for row in worst) == 12
    assert {row.events for row in worst} == {15}
    series = reading.volume(interval="hour", **day.window).series
    assert [bucket.events for bucket in series] == [60, *[0] * 23]
    rows = list(reading.events(page_size=7, order="asc", include=["input"], **day.window))
    assert [row.input for row in rows] == list(map(str, range(60)))
    found = reading.events(**day.window, has_error=True, properties={"number": ("gte", 30)})
    assert sorted(row.properties["number"] for row in found if row.properties) == [30, 35, 40, 45, 50, 55]


def test_the_command_sends_asks_and_finds_all_well(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day = Day()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TALLYSTREAM_SPOOL_DIR", str(tmp_path / "spool"))
    (tmp_path / ".tallystream").mkdir()
    connection = {name: getattr(stack.connection, name) for name in ("api_url", "write_key", "read_key")}
    (tmp_path / ".tallystream" / "connection.json").write_text(json.dumps(connection))
    moment = day.start.isoformat()
    events = [{"type": "sent", "user_id": f"{day.marker}-u", "session_id": day.marker, "ts": moment}] * 200
    (tmp_path / "e.ndjson").write_text("\n".join(map(json.dumps, events)))
    window = ["--start", moment, "--end", (day.start + timedelta(days=1)).isoformat()]

    assert run(["send", "e.ndjson"]) == 0
    assert run(["send", "e.ndjson"]) == 0
    stack.wait_until_delivered()
    capsys.readouterr()

    assert run(["top-users", "--json", *window]) == 0
    assert json.loads(capsys.readouterr().out)["users"] == [{"user_id": f"{day.marker}-u", "events": 200}]
    assert run(["session", day.marker, "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 200
    assert run(["doctor"]) == 0
    assert "FAULT" not in capsys.readouterr().out


def test_a_key_of_another_scope_is_told_so_and_loses_nothing(stack: Any, tmp_path: Path) -> None:
    errors: list[TallystreamError] = []
    with Client(
        stack.connection.api_url, stack.connection.read_key, spool=tmp_path, limits=QUICK, on_error=errors.append
    ) as client:
        client.track_event("e", user_id="u")
        assert not client.flush(30)
    assert isinstance(errors[0], KeyRefused)
    assert errors[0].reason == "scope_missing"

    with Client(stack.connection.api_url, stack.connection.write_key, spool=tmp_path, limits=QUICK) as client:
        assert client.flush(30)
        assert client.stats().acknowledged == 1


@pytest.mark.parametrize("file", ["README.md", "sdk/python/README.md"])
def test_the_first_example_of_the_sdk_runs_as_it_stands(
    stack: Any, file: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = EXAMPLE.search((ROOT / file).read_text("utf-8"))
    assert found is not None
    monkeypatch.setenv("TALLYSTREAM_SPOOL_DIR", str(tmp_path))
    names: dict[str, Any] = {"url": stack.connection.api_url, "key": stack.connection.admin_key}

    exec(compile(found[1], file, "exec"), names)
    names["client"].close()

    assert "UserCount(user_id=" in capsys.readouterr().out
