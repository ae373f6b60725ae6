"""The life of the process: start, credentials, limits, stop, kill."""

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from local_runtime.settings import REPOSITORY

WRITERS = 3
ROWS_OF_A_BATCH = 200


@pytest.fixture(scope="module")
def guarded(start_server, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text("p@ss wörd\n", encoding="utf-8")
    return start_server("--user", "tally", "--password-file", str(secret), "--max-memory-bytes", "600000000")


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_right_password_opens_in_every_way_of_giving_it(guarded):
    with guarded.client(username="tally", password="p@ss wörd") as client:
        assert client.command("SELECT 1") == 1
    assert guarded.post("SELECT 1", headers=basic("tally", "p@ss wörd")).text == "1\n"
    assert guarded.post("SELECT 1", user="tally", password="p@ss wörd").text == "1\n"


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({}, {}),
        ({"X-ClickHouse-User": "tally", "X-ClickHouse-Key": "wrong"}, {}),
        ({"X-ClickHouse-User": "other", "X-ClickHouse-Key": "p"}, {}),
        ({"X-ClickHouse-User": "tally"}, {}),
        (basic("tally", "wrong"), {}),
        ({"Authorization": "Basic %%%"}, {}),
        ({"Authorization": "Bearer x"}, {}),
        ({}, {"user": "tally", "password": "wrong"}),
    ],
)
def test_wrong_credentials_are_refused(guarded, headers, parameters):
    reply = guarded.post("SELECT 1", headers=headers, **parameters)

    assert (reply.status, reply.code) == (403, "516")
    assert "AUTHENTICATION_FAILED" in reply.text


def test_ping_needs_no_password(guarded):
    assert guarded.http("GET", path="/ping").text == "Ok.\n"


def test_the_client_reports_wrong_credentials(guarded):
    with pytest.raises(DatabaseError) as caught:
        guarded.client(username="tally", password="wrong")

    assert caught.value.code == 516


@pytest.mark.parametrize(("password", "code"), [("p@ss wörd", 0), ("wrong", 1)])
def test_an_operators_command_logs_in_with_the_password_of_its_environment(guarded, password, code):
    url = f"http://127.0.0.1:{guarded.port}/default"
    command = [sys.executable, "-m", "scripts.migrate", "--url", url, "--user", "tally", "--list"]

    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "CLICKHOUSE_PASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == code, done.stderr
    assert password not in done.stdout + done.stderr


def test_the_memory_limit_stops_one_query_and_not_the_server(guarded):
    sql = "SELECT length(groupArray(toString(number) || repeat('x', 100))) FROM numbers(20000000)"

    reply = guarded.post(sql, user="tally", password="p@ss wörd")

    assert reply.code == "241"
    assert guarded.post("SELECT 1", user="tally", password="p@ss wörd").text == "1\n"


def test_a_second_server_on_the_same_directory_says_so(start_server, launch_server, tmp_path):
    first = start_server(path=tmp_path)

    second = launch_server(tmp_path)
    output, errors = second.communicate(timeout=30)

    assert second.returncode == 1
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert f"process {first.process.pid}" in errors


def test_a_port_in_use_is_named_with_its_setting(launch_server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        process = launch_server(tmp_path, port=port)
        errors = process.communicate(timeout=30)[1]

    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert str(port) in errors
    assert "TALLYSTREAM_CLICKHOUSE_PORT" in errors


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--user", "a", "--password-file", "/nonexistent/file"), 1, "password file"),
        (("--user", "a"), 2, "go together"),
        (("--path", "/proc/nope"), 1, "cannot write"),
        (("--path", "a?b"), 1, "question mark"),
    ],
)
def test_arguments_that_cannot_work_are_named(launch_server, tmp_path, arguments, code, word):
    process = launch_server(tmp_path, *arguments)
    output, errors = process.communicate(timeout=30)

    assert process.returncode == code
    assert word in errors
    assert "Traceback" not in errors + output


def test_sigterm_ends_it_at_once_even_under_a_long_query(start_server, tmp_path):
    server = start_server(path=tmp_path)
    server.post("CREATE TABLE t (x UInt8) ENGINE = MergeTree ORDER BY x")
    server.post("INSERT INTO t VALUES (7)")
    started = threading.Event()

    def ask_long() -> None:
        started.set()
        try:
            server.post("SELECT sum(number) FROM numbers(1000000000000)")
        except OSError:
            return

    asking = threading.Thread(target=ask_long)
    asking.start()
    started.wait()
    begin = time.monotonic()
    code = server.stop()
    seconds = time.monotonic() - begin
    asking.join()

    assert code == 0
    assert seconds < 8
    assert server.ready_line.startswith("ClickHouse 26.")
    assert start_server(path=tmp_path).post("SELECT x FROM t").text == "7\n"


def write_until_dead(server, writer: int, acknowledged: list[int]) -> None:
    for batch in range(10_000):
        number = writer * 10_000 + batch
        rows = b"".join(json.dumps({"batch": number, "row": row}).encode() for row in range(ROWS_OF_A_BATCH))
        try:
            reply = server.post("INSERT INTO kept FORMAT JSONEachRow", rows)
        except OSError:
            return
        if reply.status == 200:
            acknowledged.append(number)


def test_kill_loses_no_acknowledged_insert_of_concurrent_writers(start_server, tmp_path):
    acknowledged: list[int] = []
    server = start_server(path=tmp_path)
    server.post("CREATE TABLE kept (batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY (batch, row)")
    for target in (30, 80):
        writers = [
            threading.Thread(target=write_until_dead, args=(server, target + writer, acknowledged))
            for writer in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        while len(acknowledged) < target:
            assert any(writer.is_alive() for writer in writers), "the writers ended before the kill"
        server.kill()
        for writer in writers:
            writer.join()
        server = start_server(path=tmp_path)

    rows = server.post("SELECT batch, count() FROM kept GROUP BY batch").text.splitlines()
    found = {int(batch): int(count) for batch, count in (row.split("\t") for row in rows)}

    assert len(acknowledged) >= 80
    assert all(found.get(batch) == ROWS_OF_A_BATCH for batch in acknowledged)
    assert set(found.values()) == {ROWS_OF_A_BATCH}  # none twice, none in part
    assert len(found) <= len(acknowledged) + 2 * WRITERS  # at most what was in flight
