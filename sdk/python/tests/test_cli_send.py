"""`tallystream send`: what a file becomes, also when a run is cut off, and what a second run adds: nothing."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from command_line import Capture, an_event, target, write_lines
from contract_server import KEY, ContractServer, Fault, refusal
from programs import SOURCE
from tallystream.cli import lanes
from tallystream.cli.app import run
from tallystream.cli.lanes import BulkSender
from tallystream.cli.send import Run
from tallystream.limits import Limits
from tallystream.transport import Transport
from waiting import wait_until

__all__ = ["target"]


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
        input=json.dumps({"type": "e", "session_id": "c"}), env={**os.environ, "PYTHONPATH": str(SOURCE)},
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


@pytest.mark.parametrize(
    "fields",
    [{}, {"timestamp": "2026-01-02T03:04:00.123456789Z"}, {"ts": "2026-01-02t03:04:00z"}, {"timestamp": "yesterday"}],
    ids=str,
)
def test_a_file_without_times_changes_no_count_either(
    server: ContractServer, tmp_path: Path, fields: dict[str, str]
) -> None:
    lines = [{"event_name": "e", "user_id": "u", "output": str(number % 3), **fields} for number in range(9)]
    file = write_lines(tmp_path / "e.ndjson", *lines)

    assert [run(["send", str(file)]) for _ in range(2)] == [0, 0]

    assert len(server.events) == 9


def test_a_byte_that_is_no_text_costs_one_line(server: ContractServer, tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_bytes(b"event_name,user_id,output\ne,u,1\ne,u,\xff\ne,u,3\n")

    assert run(["send", str(file)]) == 1

    (entry,) = map(json.loads, (tmp_path / "e.csv.errors.ndjson").read_text().splitlines())
    assert (entry["line"], entry["reason"]) == (3, "text_invalid")
    assert {event["output"] for event in server.events.values()} == {"1", "3"}


def test_a_file_that_cannot_be_unpacked_is_wrong_usage(tmp_path: Path, capsys: Capture) -> None:
    packed = bytearray(gzip.compress(b'{"event_name": "e"}\n' * 500))
    packed[20:40] = bytes(20)
    (tmp_path / "e.ndjson.gz").write_bytes(packed)

    assert run(["send", str(tmp_path / "e.ndjson.gz")]) == 2
    assert "e.ndjson.gz" in capsys.readouterr().err


def test_items_that_never_settle_end_the_run(
    server: ContractServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "GIVE_UP_SECONDS", 0.5)
    server.always = Fault(retry=lambda place: True)
    file = write_lines(tmp_path / "e.ndjson", an_event(1))

    assert run(["send", str(file)]) == 3


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
        env={**os.environ, "PYTHONPATH": str(SOURCE)}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
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


@pytest.fixture
def cut_run(server: ContractServer, tmp_path: Path) -> Path:
    """A file of 4,000 lines whose run ended when 2,000 of them were settled, one of them refused."""
    server.judge = lambda event: "text_too_long" if event["output"] == "7" else None
    file = write_lines(tmp_path / "e.ndjson", *(an_event(number) for number in range(2_000)))
    begun = Run(str(file), server.url, None, from_start=False)
    transport = Transport(server.url, KEY, "test", timeout_seconds=10)
    sender = BulkSender(lambda: transport, Limits(), begun.note_failure, 1)
    sender.send(begun.lines(sender))
    begun.note(sender)
    begun.close()
    transport.close()
    assert begun.resumes_after == 2_000
    return write_lines(file, *(an_event(number) for number in range(4_000)))


def test_lines_added_behind_what_was_settled_are_sent_and_refusals_before_are_told(
    server: ContractServer, cut_run: Path, capsys: Capture
) -> None:
    assert run(["send", str(cut_run), "--json"]) == 1

    summary = json.loads(capsys.readouterr().out)
    assert (summary["skipped"], summary["acknowledged"], summary["reasons"]) == (2_000, 2_000, {"text_too_long": 1})
    assert len(server.events) == 3_999


def test_a_file_that_changed_where_it_was_settled_is_sent_from_its_start(server: ContractServer, cut_run: Path) -> None:
    server.judge = lambda _event: None
    lines = cut_run.read_text().splitlines(keepends=True)
    new = [json.dumps(an_event(number)) + "\n" for number in range(9_000, 9_500)]
    cut_run.write_text("".join([*lines[:1_500], *new, *lines[1_500:]]))

    assert run(["send", str(cut_run)]) == 0

    assert len(server.events) == 4_500


def test_a_refused_key_ends_a_run_and_says_how_far_it_came(server: ContractServer, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "e.ndjson", an_event(1))

    assert run(["send", str(file), "--key", "wrong"]) == 4
    assert json.loads((tmp_path / "e.ndjson.progress").read_text())["watermark"] == 0
    assert run(["send", str(file)]) == 0


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
