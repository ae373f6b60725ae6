"""Bad requests get ClickHouse's code and a 4xx, never a traceback, and leave the server well."""

import gzip
import http.client
import socket

import lz4.frame
import pytest

INSERT = "INSERT INTO bad_rows FORMAT JSONEachRow"


@pytest.fixture(scope="module", autouse=True)
def bad_rows(server):
    server.post("CREATE TABLE bad_rows (id UInt64) ENGINE = MergeTree ORDER BY id")
    yield
    assert server.post("SELECT count() FROM bad_rows").text == "0\n"  # nothing of any bad request was stored
    server.post("DROP TABLE bad_rows")


def send_raw(port: int, *pieces: bytes, half_close: bool = True) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize(
    ("sql", "parameters", "status", "code"),
    [
        ("SELEC 1", {}, 400, "62"),
        ("SELECT 1; SELECT 2", {}, 400, "62"),
        ("-- nothing", {}, 400, "62"),
        ("SELECT * FROM nowhere", {}, 404, "60"),
        ("SELECT missing", {}, 404, "47"),
        ("SELECT no_such_function(1)", {}, 404, "46"),
        ("SELECT 1", {"database": "nowhere"}, 404, "81"),
        ("SELECT 1", {"no_such_setting": "1"}, 404, "115"),
        ("SELECT 1", {"bad-name; DROP": "1"}, 404, "115"),
        ("SELECT 1", {"max_threads": "many"}, 400, "27|72|6|53"),
        ("SELECT 1 FORMAT Nonsense", {}, 404, "73"),
        ("SELECT 1", {"default_format": "DataFrame"}, 404, "73"),
        ("SELECT {x:UInt8}", {}, 400, "456"),
        ("SELECT {x:UInt8}", {"param_x": "abc"}, 400, "457"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", {}, 400, "358"),
        ("INSERT INTO bad_rows FROM INFILE '/etc/passwd' FORMAT CSV", {}, 501, "48"),
        ("SELECT 1", {"compress": "1"}, 501, "48"),
        ("INSERT INTO bad_rows SELECT 1", {"readonly": "1"}, 403, "164"),
        ("SELECT toUInt8('x')", {}, 400, "6"),
        ("SELECT 'unclosed", {}, 400, "62"),
        ("SELECT \0", {}, 400, "62"),
    ],
)
def test_a_bad_statement_gets_its_code(server, sql, parameters, status, code):
    reply = server.post(sql, **parameters)

    assert reply.status == status, reply.text
    assert reply.code in code.split("|"), reply.text
    assert reply.text.startswith(f"Code: {reply.code}. DB::Exception: ")
    assert "Traceback" not in reply.text


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"id": "x"}', {}, 400, "27|72|6"),
        (b'{"id": 1', {}, 400, "27|117|32|33|26"),
        (b"junk", {"Content-Encoding": "gzip"}, 400, "354"),
        (b"junk", {"Content-Encoding": "deflate"}, 400, "354"),
        (b"junk", {"Content-Encoding": "lz4"}, 400, "618"),
        (b"junk", {"Content-Encoding": "zstd"}, 400, "561"),
        (b"junk", {"Content-Encoding": "snappy"}, 501, "48"),
        (gzip.compress(b'{"id": 1}', mtime=0)[:-9], {"Content-Encoding": "gzip"}, 400, "354"),
        (gzip.compress(b'{"id": 1}', mtime=0) + b"tail", {"Content-Encoding": "gzip"}, 400, "354"),
        (lz4.frame.compress(b'{"id": 1}' * 99)[:-9], {"Content-Encoding": "lz4"}, 400, "618"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "408"),
        (b"--b\r\n\r\nx\r\n--b", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "3"),
        (b"--b\r\nX: y\r\n\r\nx\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "408"),
    ],
)
def test_a_bad_body_gets_its_code(server, body, headers, status, code):
    reply = server.post(INSERT, body, headers)

    assert reply.status == status, reply.text
    assert reply.code in code.split("|"), reply.text


@pytest.mark.parametrize("is_through_input", [False, True])
@pytest.mark.parametrize(
    ("columns", "rows", "code"),
    [
        ("id UInt64, CONSTRAINT small CHECK id < 5", b'{"id": 9}', "469"),
        ("id UInt64, twin UInt64 DEFAULT throwIf(id = 9)", b'{"id": 9}', "395"),
        ("id UInt64", b"".join(b'{"id": %d}' % i for i in range(200)), "252"),
    ],
    ids=["constraint", "default", "partitions"],
)
def test_an_insert_that_fails_after_parsing_is_not_acknowledged(server, columns, rows, code, is_through_input):
    server.post(f"CREATE TABLE refused ({columns}) ENGINE = MergeTree PARTITION BY id ORDER BY id")
    select = "SELECT id FROM input('id UInt64') " if is_through_input else ""

    reply = server.post(f"INSERT INTO refused (id) {select}FORMAT JSONEachRow", rows)
    kept = server.post("SELECT count() FROM refused").text
    server.post("DROP TABLE refused")

    assert reply.code == code, reply.text
    assert kept == "0\n"


def test_a_bomb_is_refused_before_it_fills_the_memory(server):
    bomb = gzip.compress(bytes(600 * 1024 * 1024), 1)

    reply = server.post(INSERT, bomb, {"Content-Encoding": "gzip"})

    assert (reply.status, reply.code) == (413, "307")


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"Content-Length: 100\r\n\r\n" + b'{"id": 1}', 400, 3),
        (b"Content-Length: -5\r\n\r\n", 400, 408),
        (b"Content-Length: many\r\n\r\n", 400, 408),
        (b"Content-Length: 99999999999\r\n\r\n", 413, 307),
        (b"\r\n", 411, 381),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, 408),
        (b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"id": 1}\r\n', 400, 3),
        (b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"id"', 400, 3),
        (b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"id": 1}\r\n0\r\n\r\n', 400, 408),
        (b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"id": 1}\r\n0\r\n', 400, 3),
        (b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 413, 307),
    ],
)
def test_a_broken_transfer_gets_its_code_and_stores_nothing(server, request_bytes, status, code):
    line = b"POST /?query=" + INSERT.replace(" ", "+").encode() + b" HTTP/1.1\r\nHost: x\r\n"

    answer = send_raw(server.port, line + request_bytes)

    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"Code: %d. DB::Exception" % code in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"GET /?query=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 1_100_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_a_request_that_is_no_http_gets_a_plain_answer(server, head, status):
    answer = send_raw(server.port, head, half_close=status != 414)

    assert b" %d " % status in answer.split(b"\r\n")[0] or answer.startswith(b"Code: "), answer[:200]
    assert b"DB::Exception" in answer
    assert b"<html" not in answer.lower()


def test_a_long_url_below_a_megabyte_is_served(server):
    text = "x" * 700_000

    reply = server.http("GET", "SELECT length({text:String})", param_text=text)

    assert reply.text == "700000\n"


def test_a_connection_serves_on_after_an_error(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    answers = []
    for sql in (b"SELEC", b"SELECT 1", b"SELECT * FROM nowhere", b"SELECT 2"):
        connection.request("POST", "/", sql)
        answers.append(connection.getresponse().read())
    connection.close()

    assert answers[1::2] == [b"1\n", b"2\n"]
