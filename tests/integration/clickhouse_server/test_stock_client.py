"""The stock clickhouse-connect works unchanged."""

import gzip
import json
import uuid

import lz4.frame
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

try:
    from compression import zstd
except ImportError:
    from backports import zstd

ROWS_OF_MANY_BLOCKS = 50_000  # clickhouse-connect cuts an insert into blocks and packs each as one lz4 frame


def count(client, table: str) -> int:
    return client.command(f"SELECT count() FROM {table}")


def json_rows(first: int, rows: int) -> bytes:
    return b"".join(json.dumps({"id": first + i, "name": f"n{i}"}).encode() + b"\n" for i in range(rows))


def test_the_client_pings_and_reads_the_server_version(client):
    assert client.ping()
    assert int(client.server_version.split(".")[0]) >= 26
    assert client.command("SELECT 1") == 1


def test_parameters_are_bound_by_the_server_and_by_the_client(client):
    typed = client.query(
        "SELECT {text:String} AS a, {many:Array(UInt32)} AS b", {"text": "O'Neil\t\\ é", "many": [1, 2]}
    )
    spliced = client.query("SELECT %(text)s, %(number)s", {"text": "it's", "number": 7})

    assert typed.result_rows == [("O'Neil\t\\ é", [1, 2])]
    assert spliced.result_rows == [("it's", 7)]


def test_a_big_array_parameter_travels_as_a_form(client):
    ids = [str(uuid.UUID(int=i)) for i in range(5000)]

    found = client.query("SELECT length({ids:Array(UUID)}), {ids:Array(UUID)}[5000]", {"ids": ids}).result_rows

    assert found == [(5000, uuid.UUID(int=4999))]


def test_a_native_insert_of_many_lz4_frames_stores_every_row(client, table):
    client.insert(table, [[i, "x" * 20] for i in range(ROWS_OF_MANY_BLOCKS)], column_names=["id", "name"])

    assert client.query(f"SELECT count(), sum(id) FROM {table}").result_rows == [
        (ROWS_OF_MANY_BLOCKS, ROWS_OF_MANY_BLOCKS * (ROWS_OF_MANY_BLOCKS - 1) // 2)
    ]


@pytest.mark.parametrize("method", [False, "gzip", "lz4", "zstd"])
def test_native_inserts_and_answers_work_in_every_compression(server, table, method):
    with server.client(compress=method) as client:
        client.insert(table, [[i, "y"] for i in range(30_000)], column_names=["id", "name"])

        rows = client.query(f"SELECT id, name FROM {table} ORDER BY id").result_rows

    assert len(rows) == 30_000
    assert rows[-1] == (29_999, "y")


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [(None, bytes), ("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", zstd.compress)],
)
def test_raw_json_inserts_store_every_row_of_every_frame(client, table, encoding, pack):
    body = pack(json_rows(0, 3000)) + pack(json_rows(3000, 3000))

    summary = client.raw_insert(table, ["id", "name"], body, fmt="JSONEachRow", compression=encoding)

    assert summary.written_rows == 6000
    assert count(client, table) == 6000


def test_data_frames_and_arrow_tables_go_in_and_come_out(client, table):
    frame = pd.DataFrame({"id": [1, 2], "name": ["a", "b"]})
    client.insert_df(table, frame)
    client.insert_arrow(table, pa.table({"id": pa.array([3], pa.uint64()), "name": ["c"]}))

    assert client.query_df(f"SELECT name FROM {table} ORDER BY id")["name"].tolist() == ["a", "b", "c"]
    assert client.query_arrow(f"SELECT id FROM {table} ORDER BY id")["id"].to_pylist() == [1, 2, 3]


def test_rows_and_columns_are_streamed_in_blocks(client):
    with client.query_row_block_stream("SELECT number FROM numbers(500000)") as blocks:
        sizes = [len(block) for block in blocks]
    with client.query_column_block_stream("SELECT number FROM numbers(500000)") as blocks:
        total = sum(sum(block[0]) for block in blocks)

    assert sum(sizes) == 500_000
    assert len(sizes) > 1
    assert total == 500_000 * 499_999 // 2


def test_a_stream_that_is_left_early_leaves_the_client_usable(client):
    with client.query_row_block_stream("SELECT number FROM numbers(3000000)") as blocks:
        next(blocks)

    assert client.command("SELECT 5") == 5


def test_low_cardinality_nullable_json_and_time_types_are_read(client):
    row = client.query(
        "SELECT toLowCardinality('a') AS a, CAST(NULL AS Nullable(String)) AS b, '{\"x\": 1}'::JSON AS c,"
        " toDateTime64('2024-01-02 03:04:05.678', 3, 'UTC') AS d"
    ).first_row

    assert row[:2] == ("a", None)
    assert row[2] == {"x": 1}
    assert row[3].isoformat() == "2024-01-02T03:04:05.678000"


def test_no_rows_and_limit_zero_are_answers_too(client, table):
    assert client.query(f"SELECT id FROM {table}").result_rows == []
    assert client.query(f"SELECT id, name FROM {table} LIMIT 0").column_names == ("id", "name")


def test_settings_hold_for_one_query(client):
    assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == 1
    assert client.command("SELECT getSetting('max_threads')") != 1


def test_a_session_keeps_its_temporary_table_and_its_settings(client, server):
    client.command("CREATE TEMPORARY TABLE kept (x UInt8)")
    client.insert("kept", [[1], [2]], column_names=["x"])
    client.command("SET max_threads = 3")

    assert client.command("SELECT count() FROM kept") == 2
    assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == 1
    assert client.command("SELECT getSetting('max_threads')") == 3
    with server.client() as other, pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        other.command("SELECT count() FROM kept")


def test_a_deduplication_token_does_not_leak_into_later_inserts_of_the_session(client, table):
    client.command("SET max_threads = 2")  # from now on the session owns a connection
    for token in ("one", "one", "two"):
        client.raw_insert(
            table, ["id", "name"], json_rows(0, 10), fmt="JSONEachRow", settings={"insert_deduplication_token": token}
        )
    assert count(client, table) == 20  # "one" was stored once

    client.raw_insert(table, ["id", "name"], json_rows(100, 10), fmt="JSONEachRow")
    client.raw_insert(table, ["id", "name"], json_rows(200, 10), fmt="JSONEachRow")

    assert count(client, table) == 40


def test_async_inserts_are_there_when_they_are_acknowledged(client, table):
    settings = {"async_insert": 1, "wait_for_async_insert": 1}

    client.raw_insert(table, ["id", "name"], json_rows(0, 50), fmt="JSONEachRow", settings=settings)

    assert count(client, table) == 50


def test_errors_carry_code_and_name(client):
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT * FROM no_such_table")

    assert caught.value.code == 60
    assert caught.value.name == "UNKNOWN_TABLE"


def test_an_error_in_the_middle_of_a_stream_reaches_the_reader(client):
    sql = "SELECT throwIf(number = 900000, 'late failure') FROM numbers(1000000) SETTINGS max_block_size = 10000"

    with pytest.raises(Exception, match="late failure"), client.query_row_block_stream(sql) as blocks:
        list(blocks)

    assert client.command("SELECT 1") == 1


def test_an_error_of_a_query_that_is_not_streamed_has_its_own_status(server):
    sql = "SELECT throwIf(number = 900000, 'late failure') FROM numbers(1000000) FORMAT TSV"

    reply = server.post(sql, wait_end_of_query=1, max_block_size=10000)

    assert (reply.status, reply.code) == (500, "395")


def test_a_query_that_takes_too_long_ends_with_its_code(client):
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT sum(number) FROM numbers(100000000000)", settings={"max_execution_time": 1})

    assert caught.value.code == 159


def test_external_data_is_a_table_of_one_query(client):
    from clickhouse_connect.driver.external import ExternalData

    people = ExternalData(
        file_name="people.csv", fmt="CSV", structure="name String, age UInt8", data=b"ann,30\nbob,40\n"
    )

    rows = client.query("SELECT name FROM people WHERE age > 35", external_data=people).result_rows

    assert rows == [("bob",)]


def test_a_binary_insert_with_zero_bytes_and_newlines_is_not_cut(client, table):
    names = [bytes(range(256)).decode("latin-1") * 4] * 3000
    client.insert(table, [[i, name] for i, name in enumerate(names)], column_names=["id", "name"])

    assert client.query(f"SELECT count(), uniqExact(name) FROM {table}").result_rows == [(3000, 1)]
    assert client.command(f"SELECT any(length(name)) FROM {table}") == len(names[0].encode())
