"""What the engine makes of the JSON that events travel as; the tables and the load function rely on it."""

import base64
import json
import struct

import pytest

JSON_SETTINGS = {"input_format_json_read_objects_as_strings": 1, "input_format_skip_unknown_fields": 1}
OLDEST_MS = 946_684_800_123  # in 2000, the oldest time an event may have


@pytest.fixture
def events(server):
    server.post(
        "CREATE TABLE event_rows (id UInt64, timestamp DateTime64(3, 'UTC'), properties String, accepted_us UInt64,"
        " version UInt64 DEFAULT 4503599627370496 - accepted_us, packed String EPHEMERAL,"
        " embeddings Array(Float32) DEFAULT reinterpret(base64Decode(packed), 'Array(Float32)'))"
        " ENGINE = MergeTree ORDER BY id"
    )
    yield "event_rows"
    server.post("DROP TABLE event_rows")


def insert(client, table: str, columns: list[str], *rows: str) -> None:
    client.raw_insert(table, columns, "\n".join(rows), fmt="JSONEachRow", settings=JSON_SETTINGS)


def test_milliseconds_are_exact_as_decimal_seconds_and_wrong_as_an_integer(client, events):
    insert(client, events, ["id", "timestamp"], '{"id": 1, "timestamp": 946684800.123}')
    insert(client, events, ["id", "timestamp"], f'{{"id": 2, "timestamp": {OLDEST_MS}}}')

    rows = client.query(f"SELECT toUnixTimestamp64Milli(timestamp) FROM {events} ORDER BY id").result_rows

    assert rows[0] == (OLDEST_MS,)
    assert rows[1] != (OLDEST_MS,)  # an integer is read as seconds, a thousand times too far


def test_integer_milliseconds_are_exact_through_input(server, events):
    sql = (
        f"INSERT INTO {events} (id, timestamp) SELECT id, fromUnixTimestamp64Milli(timestamp, 'UTC')"
        " FROM input('id UInt64, timestamp Int64') FORMAT JSONEachRow"
    )

    server.post(sql, json.dumps({"id": 1, "timestamp": OLDEST_MS}).encode())

    assert server.post(f"SELECT toUnixTimestamp64Milli(timestamp) FROM {events}").text == f"{OLDEST_MS}\n"


def test_an_object_lands_in_a_string_byte_for_byte(client, events):
    text = '{"b": 1.50,  "é":[1, null, {"x":"\\n"}]}'

    insert(client, events, ["id", "properties"], f'{{"id": 1, "properties": {text}, "unknown": {{"a": []}}}}')

    assert client.query(f"SELECT properties FROM {events}").first_row == (text,)


def test_base64_of_floats_becomes_an_array(client, events):
    floats = [1.5, -2.25, 3e-9]
    packed = base64.b64encode(struct.pack("<3f", *floats)).decode()

    insert(client, events, ["id", "packed"], f'{{"id": 1, "packed": "{packed}"}}', '{"id": 2}')

    rows = client.query(f"SELECT embeddings FROM {events} ORDER BY id").result_rows
    assert rows == [(list(struct.unpack("<3f", struct.pack("<3f", *floats))),), ([],)]


def test_a_version_counts_down_from_the_acceptance_time(client, events):
    insert(client, events, ["id", "accepted_us"], '{"id": 1, "accepted_us": 1700000000000000}')

    assert client.query(f"SELECT version FROM {events}").first_row == (2**52 - 1_700_000_000_000_000,)
