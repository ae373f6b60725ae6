"""The demo against an API that answers right, and against one that does not: it must tell the two apart."""

import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice

import pytest

from scripts.connection import find_running, read_connection
from scripts.convert_chitchat import Converter, load_conversations
from scripts.demo import __main__ as demo
from scripts.demo import waiting
from scripts.demo.archive import ArchiveState
from scripts.demo.reading import Reader, Window
from scripts.demo.run import DemoRun
from scripts.demo.sources import FileSource, SampleSource
from scripts.failures import EndpointWrong, FileUnreadable, GaveUp, KeyRefused, NotRunning

SENT = 2_500


@pytest.fixture
def run_demo(api, connection, console):
    def run(source, **changes):
        list_archive = changes.pop("list_archive", lambda: ArchiveState(records=len(api.arrivals)))
        demo_run = DemoRun(connection, source, console, list_archive, keeps_running=True)
        is_right = demo_run.execute()
        return is_right, demo_run

    return run


def printed(console):
    console.file.flush()
    console.file.seek(0)
    return console.file.read()


def test_sample_goes_in_and_every_answer_equals_it(api, run_demo, console):
    is_right, run = run_demo(SampleSource(SENT))
    expected = Counter(event["user_id"] for event in islice(Converter().convert(load_conversations()), SENT))
    text = printed(console)

    assert is_right
    assert run.tally.by_user == expected
    assert len(api.events) == SENT
    assert [check.name for check in run.checks if check.problem] == []
    assert f"{SENT:,} accepted" in text
    assert f"/conversations/{run.tally.choose_timeline()}/events" in text
    assert "202 to visible" in text
    assert "read-key" in text
    assert "write-key" not in text


def test_second_run_sends_the_same_ids_and_says_that_nothing_counted_twice(api, run_demo, console):
    run_demo(SampleSource(SENT))
    is_right, _ = run_demo(SampleSource(SENT))

    assert is_right
    assert len(api.arrivals) == 2 * SENT
    assert len(api.events) == SENT
    assert "nothing was counted twice" in printed(console)


def test_larger_run_after_a_smaller_one_is_held_within_limits(run_demo, console):
    run_demo(SampleSource(SENT))
    is_right, _ = run_demo(SampleSource(SENT + 500))

    assert is_right
    assert "other runs lie in this window" in printed(console)


def test_api_that_counts_twice_is_found_out(api, run_demo, console):
    run_demo(SampleSource(SENT))
    api.counts_twice = True
    is_right, _ = run_demo(SampleSource(SENT))

    assert not is_right
    assert "WRONG" in printed(console)


def test_archive_that_lacks_records_is_found_out(run_demo, monkeypatch):
    monkeypatch.setattr(waiting, "ARCHIVE_SECONDS", 0.0)
    monkeypatch.setattr(waiting.wait_until_archived, "__defaults__", (0.0,))
    is_right, run = run_demo(SampleSource(SENT), list_archive=lambda: ArchiveState(objects=1, records=7))

    assert not is_right
    assert [check.name for check in run.checks if check.problem] == ["records archived"]


def test_file_with_odd_lines_is_sent_and_what_was_refused_is_told(run_demo, tmp_path, console):
    path = tmp_path / "own.ndjson"
    good = [
        {"event_name": "said", "user_id": "ann", "conversation_id": "c", "ts": f"2001-01-01T00:00:0{n}Z"}
        for n in range(3)
    ]
    lines = [json.dumps({**event, "timestamp": event.pop("ts")}) for event in good]
    nobody = json.dumps({"event_name": "said", "conversation_id": "d", "timestamp": "2026-01-01T00:00:00Z"})
    path.write_text("\n".join([*lines, nobody, "{broken", '{"user_id": "x", "timestamp": 9}']), encoding="utf-8")
    is_right, run = run_demo(FileSource(path))
    text = printed(console)

    assert is_right
    assert run.tally.by_user == {"ann": 3}
    assert run.tally.without_user == 1
    assert "field_missing 1, json_invalid 1" in text


@pytest.mark.parametrize("content", ["", "{broken\n", '{"user_id": "ann"}\n'])
def test_file_without_one_good_event_is_named(run_demo, tmp_path, content):
    path = tmp_path / "own.ndjson"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(FileUnreadable, match="own"):
        run_demo(FileSource(path))


def test_more_users_than_one_answer_holds_are_counted_all(api, connection, monkeypatch):
    start_ms = 1_525_255_200_000
    for n in range(40):
        at = datetime.fromtimestamp((start_ms + n) / 1_000, UTC).isoformat()
        api.events[str(n)] = {"user_id": f"u{n % 30}", "timestamp": at}
    monkeypatch.setattr("scripts.demo.reading.USERS_MAX", 7)
    reader = Reader(connection.api_url, connection.read_key)
    counts = reader.count_by_user(Window(start_ms, start_ms + 40))
    reader.close()

    assert counts == {f"u{n}": 2 if n < 10 else 1 for n in range(30)}


def test_window_of_many_years_is_asked_in_parts(api, connection):
    for year in (2001, 2013, 2025):
        api.events[str(year)] = {"user_id": "ann", "timestamp": f"{year}-01-01T00:00:00Z"}
    reader = Reader(connection.api_url, connection.read_key)
    counts = reader.count_by_user(Window(978_307_200_000, 1_735_689_600_001))
    reader.close()

    assert counts == {"ann": 3}


def test_wrong_read_key_and_wrong_address_are_named(api):
    with closing(Reader(api.url, "wrong")) as reader, pytest.raises(KeyRefused, match="403"):
        reader.top_users(Window(0, 1))
    with pytest.raises(EndpointWrong, match="ftp"):
        Reader("ftp://127.0.0.1", "read-key")


def test_api_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("scripts.demo.reading.PATIENCE_SECONDS", 0.0)

    with pytest.raises(GaveUp, match="top-users"):
        Reader("http://127.0.0.1:9", "key").top_users(Window(0, 1))


def test_running_stack_is_found_by_its_file_and_its_answer(connection, tmp_path):
    connection.write(tmp_path)

    assert find_running(tmp_path) == connection
    assert find_running(tmp_path / "other") is None


def test_connection_file_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "connection.json").write_text('{"api_url": "x"}', encoding="utf-8")

    with pytest.raises(NotRunning, match="write_key"):
        read_connection(tmp_path)
    with pytest.raises(NotRunning, match="make up"):
        read_connection(tmp_path / "other")


def test_command_uses_the_stack_that_runs_and_leaves_it(api, connection, tmp_path, monkeypatch, capsys):
    connection.write(tmp_path)
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(demo, "read_archive", lambda *_names: ArchiveState(records=len(api.arrivals)))

    assert demo.main(["--events", "600"]) == 0
    text = capsys.readouterr().out
    assert "using the stack that runs" in text
    assert "keeps running" in text
    assert "every answer equals what was sent" in text


@pytest.mark.parametrize("arguments", [["--events", "none"], ["--events", "0"], ["--what"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        demo.main(arguments)

    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_missing_file_ends_with_its_name_and_no_traceback(connection, tmp_path, monkeypatch, capsys):
    connection.write(tmp_path)
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(tmp_path))

    assert demo.main(["--file", str(tmp_path / "absent.csv")]) == 1
    assert "FileUnreadable" in capsys.readouterr().err
