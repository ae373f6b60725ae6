"""Plain HTTP, as curl speaks it: methods, parameters, formats, headers, sessions."""

import gzip
import json
import shutil
import subprocess
import threading
import zlib

import pytest


def test_ping_answers_on_its_own_path(server):
    assert server.http("GET", path="/ping").text == "Ok.\n"
    assert server.http("GET").text == "Ok.\n"
    assert server.http("GET", path="/nowhere").status == 404


def test_get_reads_and_does_not_write(server, table):
    assert server.http("GET", f"SELECT count() FROM {table}").text == "0\n"

    refused = server.http("GET", f"INSERT INTO {table} VALUES (1, 'a')")

    assert (refused.status, refused.code) == (403, "164")
    assert server.post(f"SELECT count() FROM {table}").text == "0\n"


def test_get_does_not_write_in_a_session_either(server, table):
    server.post("SET max_threads = 2", session_id="reader")

    refused = server.http("GET", f"INSERT INTO {table} VALUES (1, 'a')", session_id="reader")
    written = server.post(f"INSERT INTO {table} VALUES (1, 'a')", session_id="reader")

    assert (refused.status, refused.code) == (403, "164")
    assert written.status == 200


def test_the_statement_may_stand_in_url_body_or_both(server):
    assert server.post("SELECT 1").text == "1\n"
    assert server.http("POST", body=b"SELECT 2").text == "2\n"
    assert server.post("SELECT", b"3").text == "3\n"


def test_statement_parameters_come_from_the_url(server, table):
    server.post("INSERT INTO {name:Identifier} FORMAT JSONEachRow", b'{"id": 4, "name": "d"}', param_name=table)
    server.post(f"INSERT INTO {table} VALUES ({{id:UInt64}} + 1, 'e')", param_id="9")

    assert server.post(f"SELECT id FROM {table} ORDER BY id").text == "4\n10\n"
    assert server.post("SELECT {x:String}", param_x="a\\tb").text == "a\\tb\n"


def test_the_format_comes_from_statement_parameter_or_header(server):
    assert json.loads(server.post("SELECT 1 AS a FORMAT JSONEachRow").body) == {"a": 1}
    assert json.loads(server.post("SELECT 1 AS a", default_format="JSONEachRow").body) == {"a": 1}
    reply = server.post("SELECT 1 AS a", headers={"X-ClickHouse-Format": "JSONEachRow"})
    assert json.loads(reply.body) == {"a": 1}
    assert reply.headers["x-clickhouse-format"] == "JSONEachRow"
    assert json.loads(server.post("SELECT number FROM numbers(100000) FORMAT JSON").body)["rows"] == 100_000


def test_a_result_may_be_asked_for_packed(server):
    sql = "SELECT number FROM numbers(10000)"
    packed = server.post(sql, headers={"Accept-Encoding": "gzip"}, enable_http_compression=1)
    plain = server.post(sql, headers={"Accept-Encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


def test_deflate_is_spoken_both_ways(server):
    sql = zlib.compress(b"SELECT number FROM numbers(5000)")

    reply = server.post(
        "", sql, {"Content-Encoding": "deflate", "Accept-Encoding": "deflate"}, enable_http_compression=1
    )

    assert zlib.decompress(reply.body).count(b"\n") == 5000


def test_a_gzipped_insert_is_unpacked_and_summed_up(server, table):
    rows = b"".join(b'{"id": %d, "name": "a"}\n' % i for i in range(100))

    reply = server.post(f"INSERT INTO {table} FORMAT JSONEachRow", gzip.compress(rows), {"Content-Encoding": "gzip"})

    assert json.loads(reply.headers["x-clickhouse-summary"])["written_rows"] == "100"
    assert reply.headers["x-clickhouse-query-id"]


@pytest.mark.parametrize(
    ("statement", "data"),
    [
        ("INSERT INTO {t} (id, name) VALUES", b"(1, 'a'), (2, 'FORMAT b'), (1 + 2, 'c;');"),
        ("INSERT INTO {t} FORMAT Values", b"(1, 'a'), (2, 'b'), (3, 'c')"),
        ("INSERT INTO {t} FORMAT TSV", b"1\ta\n2\tb\n3\tc\n"),
        (
            "/* FORMAT x */ insert into {t} (id, name) -- VALUES\n settings async_insert=0 format CSV",
            b"1,a\n2,b\n3,c\n",
        ),
        ("INSERT INTO TABLE default.{t} FORMAT JSONEachRow", b'{"id":1}\n{"id":2}\n{"id":3}'),
        ("INSERT INTO {t} SELECT number + 1, 'x' FROM numbers(3)", b""),
        ("WITH 3 AS n INSERT INTO {t} SELECT number + 1, 'x' FROM numbers(n)", b""),
    ],
)
def test_inserts_of_every_spelling_store_their_rows(server, table, statement, data):
    reply = server.http("POST", body=statement.format(t=table).encode() + b"\n" + data)

    assert (reply.status, reply.text) == (200, "")
    assert server.post(f"SELECT sum(id), count() FROM {table}").text == "6\t3\n"


def test_insert_select_from_input_reads_the_body(server, table):
    sql = (
        f"INSERT INTO {table} SELECT x + 1, concat(y, '-', toString(t, 'UTC'))"
        " FROM input('x UInt64, y String, t DateTime64(3, \\'UTC\\')') WHERE x > 1 FORMAT JSONEachRow"
    )
    body = b'{"x": 1, "y": "a"}\n{"x": 2, "y": "b", "t": "2024-01-02 03:04:05.678"}\n'

    reply = server.post(sql, body)

    assert json.loads(reply.headers["x-clickhouse-summary"])["written_rows"] == "1"
    assert server.post(f"SELECT * FROM {table}").text == "3\tb-2024-01-02 03:04:05.678\n"


def test_an_insert_through_input_keeps_its_deduplication_token(server, table):
    sql = f"INSERT INTO {table} SELECT x, 'a' FROM input('x UInt64') FORMAT JSONEachRow"
    for token in ("one", "one", "two"):
        assert server.post(sql, b'{"x": 1}', insert_deduplication_token=token).status == 200

    assert server.post(f"SELECT count() FROM {table}").text == "2\n"


def test_a_database_is_chosen_for_one_query(server):
    server.post("CREATE DATABASE IF NOT EXISTS `other db`")
    server.post("SET max_threads = 2", session_id="databases")

    assert server.post("SELECT currentDatabase()", database="other db").text == "other db\n"
    assert server.post("SELECT currentDatabase()", database="other db", session_id="databases").text == "other db\n"
    assert server.post("SELECT currentDatabase()", session_id="databases").text == "default\n"
    server.post("USE `other db`", session_id="databases")
    assert server.post("SELECT currentDatabase()", session_id="databases").text == "other db\n"


def test_a_session_serves_one_query_at_a_time(server):
    server.post("SET max_threads = 2", session_id="busy")

    def hold() -> None:
        while server.post("SELECT sleep(1)", session_id="busy").code:  # our own probe was first
            continue

    slow = threading.Thread(target=hold)
    slow.start()
    codes = set()
    while slow.is_alive() and "373" not in codes:
        codes.add(server.post("SELECT 1", session_id="busy").code)
    slow.join()

    assert "373" in codes
    assert server.post("SELECT 1", session_id="busy").text == "1\n"


def test_a_session_that_must_exist_and_does_not_is_named(server):
    assert server.post("SELECT 1", session_id="never seen", session_check=1).code == "372"
    assert server.post("SELECT 1", session_id="bad", session_timeout="soon").code == "374"


def test_queries_run_side_by_side(server):
    running = [threading.Thread(target=server.post, args=("SELECT sleep(3)",)) for _ in range(4)]
    for thread in running:
        thread.start()
    while server.post("SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep(3)%'").text != "4\n":
        assert any(thread.is_alive() for thread in running), "the four never ran at the same time"

    killed = server.post("KILL QUERY WHERE query LIKE 'SELECT sleep(3)%' SYNC")
    for thread in running:
        thread.join()

    assert killed.status == 200


def test_a_client_that_leaves_ends_its_stream(server):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            b"GET /?query=SELECT+number+FROM+numbers(100000000000)+WHERE+42=42 HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")

    still_running = "SELECT count() FROM system.processes WHERE query LIKE '%42=42%' AND query NOT LIKE '%processes%'"
    for _ in range(200):
        if server.post(still_running).text == "0\n":
            break
    assert server.post(still_running).text == "0\n"


def test_curl_speaks_to_it(server, table):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{server.port}/"

    def curl(*arguments: str) -> str:
        return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True).stdout

    assert curl(url, "--data-binary", f"INSERT INTO {table} VALUES (1, 'é')") == ""
    assert curl(f"{url}?query=SELECT+name+FROM+{table}") == "é\n"
    assert curl("--compressed", f"{url}?enable_http_compression=1&query=SELECT+name+FROM+{table}") == "é\n"
    assert "X-ClickHouse-Summary: " in curl("-i", url, "-d", f"INSERT INTO {table} VALUES (2, 'b')")
    assert "Code: 164" in curl(f"{url}?query=DROP+TABLE+{table}")


def test_settings_of_a_query_reach_those_alone_that_ask_for_them(server):
    sql = "SELECT name, value FROM system.settings WHERE name IN ('max_threads', 'max_block_size') AND changed"
    for _ in range(2):
        assert server.post(sql, max_threads="3").text == "max_threads\t3\n"
        assert server.post(sql, max_block_size="77").text == "max_block_size\t77\n"
        assert server.post(sql).text == ""
        assert server.post("SELECT throwIf(1)", max_threads="3").status == 500


def test_a_statement_that_writes_finds_no_settings_of_those_before_it(server, table):
    server.http("GET", f"SELECT count() FROM {table}")

    assert server.post(f"INSERT INTO {table} VALUES (1, 'a')").status == 200
    assert server.post(f"SELECT count() FROM {table}").text == "1\n"
