"""The command: what it prints, and what it leaves with."""

import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import AT, Capture, target
from contract_server import KEY, ContractServer
from programs import SOURCE
from tallystream.cli import tail as tailing
from tallystream.cli.app import run
from tallystream.cli.tail import Follower
from tallystream.client import Client
from tallystream.version import __version__

__all__ = ["target"]
FRAME = {"exact": True, "generated_at": AT, "start": AT, "end": AT, "next_cursor": None}
ROW = {"id": "i1", "event_name": "e", "timestamp": AT, "user_id": "u", "latency_ms": 12_345.0, "error": "timeout"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["send", "missing.ndjson"], 2),
        (["top-users", "--limit", "0"], 2),
        (["top-users", "--property", "x"], 2),
        (["top-users", "--url", "ftp://x"], 2),
        (["top-users", "--url", "http://"], 2),
        (["top-users", "--key", "a\r\nb"], 2),
        (["doctor", "--key", "ü"], 2),
        (["top-users", "--url", "http://127.0.0.1:9"], 3),
        (["top-users", "--key", "wrong"], 4),
        (["event", "01890000-0000-7000-8000-000000000000"], 5),
        (["latency"], 6),
        (["unknown"], 2),
        (["--version"], 0),
        (["send", "--help"], 0),
    ],
)
def test_exit_codes_say_what_happened(words: list[str], code: int, capsys: Capture) -> None:
    assert run(words) == code
    captured = capsys.readouterr()
    assert bool(captured.err) is bool(code)


REPORTS: list[tuple[list[str], str, Any, list[str]]] = [
    (["top-users"], "/reports/top-users",
     {"users": [{"user_id": "ada", "events": 1234}], "events_total": 1234, "users_total": 1, **FRAME},
     ["ada", "1,234"]),
    (["latency", "--by", "event_name,conversation_id"], "/reports/latency",
     {"latency": [{"event_name": "e", "conversation_id": "c", "events": 1, "p50_ms": 1.4, "p95_ms": 25_000.0,
                   "p99_ms": None}], **FRAME}, ["1 ms", "25.0 s", "c"]),
    (["errors"], "/reports/errors",
     {"errors": [{"event_name": "e", "events": 3, "errors": 1, "error_rate": 0.333}], "events_total": 3,
      "errors_total": 1, **FRAME}, ["33.3%", "1 errors in 3 events"]),
    (["errors", "--by", "error"], "/reports/errors",
     {"errors": [{"error": "timeout", "errors": 2}], "events_total": 3, "errors_total": 2, **FRAME}, ["timeout"]),
    (["sessions", "--by", "events"], "/reports/top-conversations",
     {"conversations": [{"conversation_id": "c1", "events": 3, "errors": 1, "error_rate": 0.5, "p95_ms": 5.0,
                         "started_at": AT, "ended_at": AT}], **FRAME}, ["c1", "50.0%", AT]),
    (["session", "c1", "--include", "input"], "/conversations/c1/events", {"events": [ROW], "next_cursor": None},
     ["timeout", "12.3 s", "i1"]),
    (["tail", "--no-follow"], "/events", {"events": [ROW], "next_cursor": None}, ["i1"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "path", "answer", "shown"), REPORTS, ids=[" ".join(case[0]) for case in REPORTS])
def test_reports_are_shown_to_people_and_given_to_scripts(
    server: ContractServer, capsys: Capture, words: list[str], path: str, answer: Any, shown: list[str]
) -> None:
    server.answers[path] = answer

    assert run(words) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in shown), text
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    expected = answer["events"][0] if "events" in answer else answer
    assert all(name in document for name in expected)


def test_filters_are_passed_on(server: ContractServer) -> None:
    server.answers["/reports/top-users"] = REPORTS[0][2]

    run(["top-users", "--window", "7d", "--user", "ada", "--no-error", "--property", "a.b=gt:5", "--property", "c=x:y"])

    assert server.received[0].query == {
        "limit": ["10"], "window": ["7d"], "user_id": ["ada"], "has_error": ["false"], "properties.a.b": ["gt:5"],
        "properties.c": ["eq:x:y"],
    }  # fmt: skip


def test_an_empty_session_is_not_found(server: ContractServer) -> None:
    server.answers["/conversations/c1/events"] = {"events": [], "next_cursor": None}

    assert run(["session", "c1"]) == 5


def test_what_came_from_events_is_no_markup_and_moves_no_cursor(server: ContractServer, capsys: Capture) -> None:
    nasty = "[/INST] [red]\x1b[2J\nnext"
    server.answers["/reports/top-users"] = {
        "users": [{"user_id": nasty, "events": 1}], "events_total": 1, "users_total": 1, **FRAME,
    }  # fmt: skip
    server.answers["/events"] = {"events": [{**ROW, "user_id": nasty, "error": nasty}], "next_cursor": None}
    server.events["i1"] = {**ROW, "output": nasty}

    codes = [run(words) for words in (["top-users"], ["tail", "--no-follow"], ["event", "i1"])]

    out = capsys.readouterr().out
    assert codes == [0, 0, 0]
    assert out.count(r"[/INST] [red]\x1b[2J\nnext") == 4
    assert "\x1b[2J" not in out


def test_a_reader_that_leaves_is_no_failure(server: ContractServer) -> None:
    rows = [{**ROW, "id": f"i{number}", "output": "x" * 200} for number in range(2_000)]
    server.answers["/events"] = {"events": rows, "next_cursor": None}
    command = [sys.executable, "-c", "import sys; from tallystream.cli import main; sys.exit(main())"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    tail = subprocess.Popen(
        [*command, "tail", "--no-follow", "-n", "2000"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert tail.stdout
    assert tail.stderr

    tail.stdout.readline()
    tail.stdout.close()

    assert (tail.wait(20), tail.stderr.read()) == (0, b"")
    tail.stderr.close()


def test_one_event_is_shown_whole(server: ContractServer, capsys: Capture) -> None:
    server.events["i1"] = {**ROW, "input": "x" * 500, "output_embeddings": [1.0, 2.0]}

    assert run(["event", "i1"]) == 0
    out = capsys.readouterr().out
    assert "x" * 500 in out
    assert "2 numbers" in out


def test_tail_shows_each_event_once_as_it_comes(server: ContractServer) -> None:
    rows = [{**ROW, "id": f"i{number}", "timestamp": _now()} for number in range(6)]
    server.answers["/events"] = {"events": rows[2:0:-1], "next_cursor": None}
    client = Client(server.url, KEY, spool=False)
    follower = Follower(client, {"user_id": "u"})

    assert [event.id for event in follower.newest(10, {})] == ["i1", "i2"]
    server.answers["/events"] = {"events": rows[1:4], "next_cursor": None}
    assert [event.id for event in follower.more()] == ["i3"]
    server.answers["/events"] = {"events": rows[2:6], "next_cursor": None}
    assert [event.id for event in follower.more()] == ["i4", "i5"]
    assert server.received[-1].query["order"] == ["asc"]
    assert server.received[-1].query["user_id"] == ["u"]
    client.close()


def test_tail_asks_again_for_the_time_in_which_the_api_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "OVERLAP", timedelta(0))
    before = ContractServer()
    client = Client(before.url, KEY, spool=False)
    follower = Follower(client, {})
    away_since = datetime.now(timezone.utc)
    before.stop()

    assert list(follower.more()) == []
    back = ContractServer(before.port)
    back.answers["/events"] = {"events": [{**ROW, "timestamp": _now()}], "next_cursor": None}
    shown = [event.id for event in follower.more()]
    client.close()
    back.stop()

    assert shown == ["i1"]
    (asked,) = [request.query["start"][0] for request in back.received if request.path == "/events"]
    assert datetime.fromisoformat(asked.replace("Z", "+00:00")) <= away_since


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_running_stack_of_the_checkout_is_found(
    server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TALLYSTREAM_URL", "TALLYSTREAM_KEY"):
        monkeypatch.delenv(name)
    assert run(["top-users"]) == 2
    (tmp_path / ".tallystream").mkdir()
    (tmp_path / ".tallystream" / "connection.json").write_text(
        json.dumps({"api_url": server.url, "read_key": KEY, "write_key": "other"})
    )
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")

    assert run(["top-users"]) == 0
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_doctor_finds_nothing_where_all_is_well(server: ContractServer, capsys: Capture) -> None:
    server.refuse_whole = lambda body: "no_events" if body == b'{"events":[]}' else None
    server.health["request_encodings"] = ["gzip"]

    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "FAULT" not in out
    assert "gzip" in out
    assert not server.events


@pytest.mark.parametrize(
    ("words", "name"),
    [(["--key", "wrong"], "may write"), (["--url", "http://127.0.0.1:9"], "health")],
)
def test_the_doctor_names_what_is_wrong(capsys: Capture, words: list[str], name: str) -> None:
    assert run(["doctor", "--json", *words]) == 1

    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert name in [finding["name"] for finding in findings if not finding["is_well"]]


def test_the_doctor_sees_a_clock_that_is_wrong(
    server: ContractServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() + 3_600, perf_counter=time.perf_counter)
    monkeypatch.setattr("tallystream.cli.doctor.time", wrong)

    assert run(["doctor", "--json"]) == 1

    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (clock,) = [finding for finding in findings if finding["name"] == "clock"]
    assert not clock["is_well"]


@pytest.mark.parametrize(
    ("theirs", "is_well"), [(__version__, True), ("0.1.99", True), ("0.2.0", False), ("9.0.0", False), ("", True)]
)
def test_the_doctor_compares_versions(server: ContractServer, capsys: Capture, theirs: str, is_well: bool) -> None:
    server.health["version"] = theirs

    assert run(["doctor", "--json"]) in (0, 1)

    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [finding["is_well"] for finding in findings if finding["name"] == "version"] == [is_well]


def test_without_its_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from tallystream.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (done.returncode, "pip install 'tallystream[cli]'" in done.stderr) == (2, True)
