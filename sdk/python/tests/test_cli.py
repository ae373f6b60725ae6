"""The command: what it sends, prints and leaves with."""

import csv
import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract_server import KEY, ContractServer, Fault, refusal
from programs import SOURCE
from tallystream.cli.app import run
from tallystream.cli.tail import Follower
from tallystream.client import Client
from tallystream.version import __version__
from waiting import wait_until

AT = "2026-01-02T03:04:05.678Z"
FRAME = {"exact": True, "generated_at": AT, "start": AT, "end": AT, "next_cursor": None}
ROW = {"id": "i1", "event_name": "e", "timestamp": AT, "user_id": "u", "latency_ms": 12_345.0, "error": "timeout"}
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def target(server: ContractServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALLYSTREAM_URL", server.url)
    monkeypatch.setenv("TALLYSTREAM_KEY", KEY)
    monkeypatch.setenv("TALLYSTREAM_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)


def write_lines(path: Path, *events: Any) -> Path:
    path.write_text("".join((event if isinstance(event, str) else json.dumps(event)) + "\n" for event in events))
    return path


def an_event(number: int, **fields: Any) -> dict[str, Any]:
    return {"event_name": "e", "user_id": f"u{number % 5}", "timestamp": AT, "output": str(number), **fields}


def test_a_file_is_sent_and_a_second_run_changes_no_count(
    server: ContractServer, tmp_path: Path, capsys: Capture
) -> None:
    file = write_lines(tmp_path / "e.ndjson", *(an_event(number % 90) for number in range(100)))

    assert run(["send", str(file)]) == 0
    assert "100 acknowledged" in capsys.readouterr().out
    assert len(server.events) == 100, "equal lines are events of their own"
    assert run(["send", str(file)]) == 0
    assert len(server.events) == 100
    assert not list(tmp_path.glob("e.ndjson.*"))


def test_a_users_lines_keep_their_order_through_retries(server: ContractServer, tmp_path: Path) -> None:
    server.faults.extend([Fault(drops=True, takes=True), Fault(retry=lambda place: place > 9), Fault(cuts=True)])
    file = write_lines(tmp_path / "e.ndjson", *(an_event(number) for number in range(300)))

    assert run(["send", str(file), "--batch", "20"]) == 0

    arrived = [server.events[identifier] for identifier in dict.fromkeys(server.arrived)]
    for user in range(5):
        mine = [int(event["output"]) for event in arrived if event["user_id"] == f"u{user}"]
        assert mine == list(range(user, 300, 5))


def test_csv_gzip_and_the_standard_input_are_read(
    server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [an_event(1, properties='{"a": 1}', latency_ms="1.5"), an_event(2, properties="", latency_ms="")]
    with (tmp_path / "e.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with gzip.open(tmp_path / "e.ndjson.gz", "wt") as packed:
        packed.write(json.dumps(an_event(3)))
    source = subprocess.run(
        [sys.executable, "-c", "import sys; from tallystream.cli import main; sys.exit(main())", "send", "-"],
        input=json.dumps({"type": "e", "session_id": "c"}), env={**_environment(), "PYTHONPATH": str(SOURCE)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run(["send", "e.csv"]) == 0
    assert run(["send", "e.ndjson.gz"]) == 0
    assert source.returncode == 0, source.stderr
    by_output = {event.get("output"): event for event in server.events.values()}
    assert (by_output["1"]["properties"], by_output["1"]["latency_ms"]) == ({"a": 1}, 1.5)
    assert "properties" not in by_output["2"]
    assert by_output["3"]["user_id"] == "u3"
    assert by_output[None]["session_id"] == "c"


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_refused_lines_go_to_a_file_with_their_numbers(server: ContractServer, tmp_path: Path, capsys: Capture) -> None:
    server.judge = lambda event: "text_too_long" if event["output"] == "3" else None
    file = write_lines(
        tmp_path / "e.ndjson",
        an_event(1),
        "{broken",
        an_event(3),
        "[1]",
        an_event(5, id="7"),
        an_event(6),
        {"op": "delete"},
    )

    assert run(["send", str(file)]) == 1

    entries = [json.loads(line) for line in (tmp_path / "e.ndjson.errors.ndjson").read_text().splitlines()]
    assert sorted((entry["line"], entry["reason"]) for entry in entries) == [
        (2, "json_invalid"), (3, "text_too_long"), (4, "event_not_object"), (5, "id_invalid"), (7, "operation_invalid"),
    ]  # fmt: skip
    assert {event["output"] for event in server.events.values()} == {"1", "6"}
    assert "5 refused" in capsys.readouterr().err


def test_operations_of_a_file_are_sent_as_such(server: ContractServer, tmp_path: Path) -> None:
    identifier = "019b7cd5-0000-7000-8000-000000000001"
    file = write_lines(
        tmp_path / "e.ndjson", an_event(1, id=identifier), {"op": "update", "event_id": identifier, "error": "x"}
    )

    assert run(["send", str(file), "--connections", "1"]) == 0

    assert list(server.events) == [identifier]
    assert server.changes == [{"op": "update", "id": identifier, "error": "x"}]


def test_a_run_that_was_killed_goes_on_where_it_stood_and_counts_each_line_once(
    server: ContractServer, tmp_path: Path, capsys: Capture
) -> None:
    events = [{"event_name": "e", "user_id": f"u{number % 5}", "output": str(number)} for number in range(5_000)]
    file = write_lines(tmp_path / "e.ndjson", *events)
    server.always = Fault(seconds=0.12)
    killed = subprocess.Popen(
        [sys.executable, "-c", "import sys; from tallystream.cli import main; sys.exit(main())", "send", str(file),
         "--batch", "20"],
        env={**_environment(), "PYTHONPATH": str(SOURCE)}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    progress = tmp_path / "e.ndjson.progress"
    wait_until(lambda: progress.exists() and json.loads(progress.read_text())["watermark"] > 100, 20)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = len(server.events)
    server.always = None

    assert run(["send", str(file), "--json"]) == 0

    summary = json.loads(capsys.readouterr().out)
    assert summary["skipped"] > 100
    assert summary["acknowledged"] == 5_000 - summary["skipped"]
    assert before < 5_000
    assert len(server.events) == 5_000, "lines without id or time, too"
    assert not progress.exists()


def test_another_file_of_the_same_name_is_sent_from_its_start(server: ContractServer, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "e.ndjson", an_event(1), an_event(2))
    (tmp_path / "e.ndjson.progress").write_text(
        json.dumps({"url": server.url, "head": "of another file", "started_ms": 1, "watermark": 1})
    )

    assert run(["send", str(file)]) == 0
    assert len(server.events) == 2


def test_a_refused_key_ends_a_run_and_says_how_far_it_came(server: ContractServer, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "e.ndjson", an_event(1))

    assert run(["send", str(file), "--key", "wrong"]) == 4
    assert json.loads((tmp_path / "e.ndjson.progress").read_text())["watermark"] == 0
    assert run(["send", str(file)]) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["send", "missing.ndjson"], 2),
        (["top-users", "--limit", "0"], 2),
        (["top-users", "--property", "x"], 2),
        (["top-users", "--url", "ftp://x"], 2),
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


def _now() -> str:
    from datetime import datetime, timezone

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
        [sys.executable, "-c", code], env={**_environment(), "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (done.returncode, "pip install 'tallystream[cli]'" in done.stderr) == (2, True)


def test_an_api_that_comes_back_finds_the_run_waiting(server: ContractServer, tmp_path: Path) -> None:
    server.always = refusal(503, "log_unavailable")
    file = write_lines(tmp_path / "e.ndjson", *(an_event(number) for number in range(10)))

    def come_back() -> None:
        wait_until(lambda: server.writes)
        server.always = None

    thread = threading.Thread(target=come_back)
    thread.start()
    assert run(["send", str(file)]) == 0
    thread.join()
    assert len(server.events) == 10
