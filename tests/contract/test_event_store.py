"""`EventStore`: the fake and clickhouse-connect on the real engine do the same."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import Refused, StoreMisconfigured, StoreRejected, StoreUnavailable
from event_analytics.load import EMBEDDINGS_COLUMNS, EMBEDDINGS_TABLE
from tests.builders import ACCEPTED_US, an_event
from tests.fakes import FakeEventStore
from tests.picky_event_store import PickyEventStore


class Counted:
    """A store and a way to count its rows of one conversation."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def count(self, conversation_id: str) -> int:
        if isinstance(self.store, FakeEventStore):
            return sum(row["conversation_id"] == conversation_id for row in self.store.lines("events"))
        sql = "SELECT count() AS n FROM events WHERE conversation_id = {c:String}"
        return int(self.store.select(sql, {"c": conversation_id})[0]["n"])


@pytest.fixture(params=["fake", "clickhouse"])
def counted(request: pytest.FixtureRequest) -> Iterator[Counted]:
    if request.param == "fake":
        yield Counted(PickyEventStore())
    else:
        yield Counted(ClickHouseEventStore(request.getfixturevalue("stack").connection.clickhouse_url))


def rows(conversation_id: str, count: int) -> bytes:
    return b"\n".join(
        json.dumps(
            {
                **an_event(id=str(uuid.uuid4()), conversation_id=conversation_id),
                "timestamp": "2026-09-21T14:13:20.123Z",
                "accepted_us": ACCEPTED_US,
                "unknown": 1,
            }
        ).encode()
        for _ in range(count)
    )


def test_a_repeated_token_inserts_nothing(counted: Counted) -> None:
    conversation_id, token = uuid.uuid4().hex, uuid.uuid4().hex
    batch = rows(conversation_id, 3)
    for _ in range(2):
        counted.store.insert_rows("events", batch, token)

    assert counted.count(conversation_id) == 3


def test_another_token_inserts(counted: Counted) -> None:
    conversation_id = uuid.uuid4().hex
    for _ in range(2):
        counted.store.insert_rows("events", rows(conversation_id, 3), uuid.uuid4().hex)

    assert counted.count(conversation_id) == 6


def test_asking_gives_rows_and_what_they_cost(counted: Counted) -> None:
    conversation_id = uuid.uuid4().hex
    counted.store.insert_rows("events", rows(conversation_id, 3), uuid.uuid4().hex)
    if isinstance(counted.store, FakeEventStore):
        counted.store.answers = [[{"n": 3}]]

    sql = "SELECT count() AS n FROM events WHERE conversation_id = {c:String}"
    reading = counted.store.ask(sql, {"c": conversation_id}, seconds_max=10)

    assert reading.rows == [{"n": 3}]
    assert reading.rows_read > 0
    assert reading.bytes_read >= 0
    assert reading.elapsed_ms >= 0


def test_years_of_history_fit_one_insert(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    conversation_id = uuid.uuid4().hex
    weeks = [
        json.dumps({**an_event(id=str(uuid.uuid4()), conversation_id=conversation_id), "accepted_us": ACCEPTED_US,
                    "timestamp": f"{2001 + week // 50}-{1 + week % 12:02}-{1 + week % 28:02}T00:00:00Z"}).encode()
        for week in range(500)
    ]  # fmt: skip
    store.insert_rows("events", b"\n".join(weeks), uuid.uuid4().hex)

    assert Counted(store).count(conversation_id) == 500


def test_a_query_over_its_limits_is_refused_as_too_heavy(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(Refused) as refused:
        store.select("SELECT sum(number) AS n FROM numbers(1e12) SETTINGS max_execution_time = 0.2", {})

    assert (str(refused.value.reason), refused.value.status) == ("query_too_heavy", 422)


def test_a_store_that_is_not_there_is_unavailable(unused_port: int) -> None:
    store = ClickHouseEventStore(f"http://127.0.0.1:{unused_port}/default")

    with pytest.raises(StoreUnavailable) as unavailable:
        store.select("SELECT 1 AS one", {})

    assert str(unavailable.value.reason) == "store_unavailable"
    with pytest.raises(StoreUnavailable):
        store.ask("SELECT 1 AS one", {})
    with pytest.raises(StoreUnavailable):
        store.insert_rows("events", rows("c", 1), "token")


def test_rows_that_hold_what_it_cannot_take_are_rejected_whole_with_its_code(counted: Counted) -> None:
    conversation_id = uuid.uuid4().hex
    good, bad = rows(conversation_id, 3), rows(conversation_id, 1).replace(b"%d" % ACCEPTED_US, b"-1")

    with pytest.raises(StoreRejected) as rejected:
        counted.store.insert_rows("events", good + b"\n" + bad, uuid.uuid4().hex)

    assert (rejected.value.code, rejected.value.name, rejected.value.is_known) == (72, "CANNOT_PARSE_NUMBER", True)
    assert counted.count(conversation_id) == 0


def test_after_a_rejection_the_rest_goes_in(counted: Counted) -> None:
    conversation_id, token = uuid.uuid4().hex, uuid.uuid4().hex
    good, bad = rows(conversation_id, 3), rows(conversation_id, 1).replace(b"%d" % ACCEPTED_US, b"-1")
    with pytest.raises(StoreRejected):
        counted.store.insert_rows("events", good + b"\n" + bad, token)

    counted.store.insert_rows("events", good, token)

    assert counted.count(conversation_id) == 3


# Lines that our decoder takes for an event; the codes are the engine's own answers.
REFUSED_BY_THE_ENGINE = {
    "a field given twice": (b'"user_id":"a","user_id":"b"', 117, True),
    "a time with a small t": (b'"user_id":"a","timestamp":"2026-09-21t14:13:20z"', 41, True),
    "no flag": (b'"user_id":"a","is_deleted":300', 117, True),
    "a version that is no number": (b'"user_id":"a","version":"x"', 27, True),
    "nested too deep where it is skipped": (b'"user_id":"a","z":' + b"[" * 100_000 + b"]" * 100_000, 306, True),
}


@pytest.mark.parametrize("case", REFUSED_BY_THE_ENGINE)
def test_the_codes_of_bad_rows_are_those_of_our_table(case: str, stack: Any) -> None:
    fields, code, is_known = REFUSED_BY_THE_ENGINE[case]
    line = b'{"accepted_us":1,"id":"%b","event_name":"e",%b}' % (str(uuid.uuid4()).encode(), fields)
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(StoreRejected) as rejected:
        store.insert_rows("events", line, uuid.uuid4().hex)

    assert (rejected.value.code, rejected.value.is_known) == (code, is_known)


@pytest.mark.parametrize(("base64", "code", "is_known"), [("***", 117, True), ("AAAA", 36, False)])
def test_embeddings_that_are_none_are_rejected(base64: str, code: int, is_known: bool, stack: Any) -> None:
    line = b'{"id":"%b","input_embeddings_base64":"%b"}' % (str(uuid.uuid4()).encode(), base64.encode())

    with pytest.raises(StoreRejected) as rejected:
        ClickHouseEventStore(stack.connection.clickhouse_url).insert_rows(
            EMBEDDINGS_TABLE, line, uuid.uuid4().hex, EMBEDDINGS_COLUMNS
        )

    assert (rejected.value.code, rejected.value.is_known) == (code, is_known)


@pytest.mark.parametrize(
    ("table", "columns"), [("no_such_table", ()), ("no_such_database.events", ()), ("events", ("id", "no_such_column"))]
)
def test_what_no_record_can_cause_is_misconfigured_and_comes_again(
    table: str, columns: tuple[str, ...], stack: Any
) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(StoreMisconfigured) as misconfigured:
        store.insert_rows(table, rows("c", 1), uuid.uuid4().hex, columns)

    assert isinstance(misconfigured.value, StoreUnavailable)
    with pytest.raises(StoreMisconfigured):
        store.select("SELECT * FROM no_such_table", {})


def test_a_statement_that_fails_for_what_a_row_holds_is_rejected_with_its_code(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(StoreRejected) as rejected:
        store.execute("SELECT jsonMergePatch(materialize({text:String}), '{}')", {"text": "[1]"})

    assert (rejected.value.code, rejected.value.is_known) == (36, False)


@pytest.mark.parametrize("times", [1, 2_000], ids=["in the URL", "in the body"])
def test_parameters_arrive_as_they_are(times: int, stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    parameters = {"text": "tab\t line\n back\\ 'q' \"d\" `b` ä € %s {text:String} " * times, "numbers": [1, 2**32 - 1]}

    found = store.select("SELECT {text:String} AS text, {numbers:Array(UInt32)} AS numbers", parameters)

    assert found == [parameters]


def test_reads_and_writes_share_the_database_of_the_url(stack: Any) -> None:
    url, name = stack.connection.clickhouse_url, f"other_{uuid.uuid4().hex}"
    plain, other = ClickHouseEventStore(url), ClickHouseEventStore(f"{url}/{name}")
    plain.command(f"CREATE DATABASE {name}")
    try:
        other.execute("CREATE TABLE only_here (number UInt8) ENGINE = Memory", {})
        assert other.select("SELECT currentDatabase() AS name, count() AS rows FROM only_here", {}) == [
            {"name": name, "rows": 0}
        ]
        assert plain.select("SELECT currentDatabase() AS name", {}) == [{"name": "default"}]
    finally:
        plain.command(f"DROP DATABASE {name}")


def test_an_error_after_the_first_rows_is_an_error(stack: Any) -> None:
    store = ClickHouseEventStore(stack.connection.clickhouse_url)

    with pytest.raises(StoreUnavailable, match="throwIf"):
        store.select("SELECT throwIf(number = 900000) AS x FROM numbers(1000000) SETTINGS max_block_size = 1000", {})
