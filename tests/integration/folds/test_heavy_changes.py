"""Changes whose fold costs too much hold nobody up: properties are bounded, weight is isolated. On the real engine."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, DeadLetterWriter, LetterBody, read_letter
from event_analytics.errors import StoreOverburdened, StoreUnavailable
from event_analytics.fold_weight import MERGED_BYTES_MAX, WORK_BYTES_MIN
from event_analytics.folding import RefusedFold, fold_changes
from event_analytics.giving_up import give_up_refused
from tests.builders import ACCEPTED_US
from tests.fakes import FakeEventLog, FakeObjectStore

LARGE_UPDATES = 60  # together 50 MB of properties
LARGE_BYTES = 800_000  # of a patch, near the most that the API takes
SECOND_US = 1_000_000
MEMORY = (241, "MEMORY_LIMIT_EXCEEDED")


class WeakStore:
    """A store that has no memory for a fold of so many ids, nor for one of an id that is named."""

    def __init__(self, store: ClickHouseEventStore, ids_max: int, too_heavy: UUID | None = None) -> None:
        self._store = store
        self._ids_max = ids_max
        self._too_heavy = too_heavy

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        self._store.insert_rows(table, rows, token, columns)

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._store.select(sql, parameters)

    def ask(self, sql: str, parameters: Mapping[str, Any], seconds_max: float = 0) -> Any:
        return self._store.ask(sql, parameters, seconds_max)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        if sql.split()[:3] == ["INSERT", "INTO", "events"]:
            asked = "SELECT arrayJoin(reinterpret(base64URLDecode({ids:String}), 'Array(UUID)')) AS id"
            ids = [UUID(row["id"]) for row in self._store.select(asked, {"ids": parameters["ids"]})]
            if len(ids) > self._ids_max or (self._too_heavy in ids and self._log_of(self._too_heavy)):
                raise StoreOverburdened(MEMORY[0], "no memory")
        self._store.execute(sql, parameters)

    def _log_of(self, identifier: UUID | None) -> int:
        (row,) = self._store.select("SELECT count() AS n FROM event_changes WHERE id = {id:UUID}", {"id": identifier})
        count: int = row["n"]
        return count


def create(store: ClickHouseEventStore, count: int) -> list[UUID]:
    ids = [uuid.uuid4() for _ in range(count)]
    rows = [
        {
            "id": str(each), "user_id": "u", "conversation_id": "c", "event_name": "e", "properties": {"own": 1},
            "timestamp": "2026-09-21T14:13:19Z", "accepted_us": ACCEPTED_US,
        }
        for each in ids
    ]  # fmt: skip
    store.insert_rows("events", b"\n".join(json.dumps(row).encode() for row in rows), uuid.uuid4().hex)
    return ids


def change(store: ClickHouseEventStore, identifier: UUID, number: int, patch: Mapping[str, Any] | str) -> None:
    row = {
        "change_id": str(uuid.uuid4()), "id": str(identifier), "version": ACCEPTED_US + number,
        "fields": ["properties"], "patch": patch,
    }  # fmt: skip
    store.insert_rows("event_changes", json.dumps(row).encode(), uuid.uuid4().hex, CHANGE_COLUMNS)


def change_often(store: ClickHouseEventStore, identifier: UUID, count: int, patch_bytes: int) -> None:
    store.command(
        "INSERT INTO event_changes (id, version, change_id, is_deleted, fields, patch) "
        f"SELECT '{identifier}', {ACCEPTED_US} + number, generateUUIDv4(), 0, ['properties'], "
        f"concat('{{\"k\":\"', repeat('x', {patch_bytes}), toString(number), '\"}}') FROM numbers({count})"
    )


def give_up(store: Any, refused: Sequence[RefusedFold]) -> list[LetterBody]:
    objects = FakeObjectStore()
    give_up_refused(store, DeadLetterWriter(objects, FakeEventLog()), refused, ACCEPTED_US // 1_000)
    return [read_letter(body) for name, body in objects.objects.items() if name.startswith(DEAD_LETTERS_PREFIX)]


def properties(store: ClickHouseEventStore, identifier: UUID) -> dict[str, Any]:
    sql = "SELECT properties FROM events FINAL WHERE id = {id:UUID}"
    (row,) = store.select(sql, {"id": identifier})
    found: dict[str, Any] = json.loads(row["properties"])
    return found


def test_the_largest_event_takes_the_largest_update_and_one_that_goes_beyond_is_a_letter(
    tables: ClickHouseEventStore,
) -> None:
    (identifier,) = create(tables, 1)
    for number in range(2):
        change(tables, identifier, number, {f"k{number}": "x" * LARGE_BYTES})
        assert fold_changes(tables, [identifier]) == []
    change(tables, identifier, 2, {"k2": "x" * LARGE_BYTES})
    change(tables, identifier, 3, {"after": 1})

    letters = give_up(tables, fold_changes(tables, [identifier]))

    assert [(one.reason, one.error_code, one.offset) for one in letters] == [("fold_rejected", 395, ACCEPTED_US + 2)]
    assert properties(tables, identifier).keys() == {"own", "k0", "k1", "after"}


def test_many_large_updates_at_once_are_letters_and_others_fold(tables: ClickHouseEventStore) -> None:
    heavy, light = create(tables, 2)
    tables.command(
        "INSERT INTO event_changes (id, version, change_id, is_deleted, fields, patch) "
        f"SELECT '{heavy}', {ACCEPTED_US} + number, generateUUIDv4(), 0, ['properties'], "
        f"concat('{{\"k', toString(number), '\":\"', repeat('x', {LARGE_BYTES}), '\"}}') FROM numbers({LARGE_UPDATES})"
    )
    change(tables, light, 0, {"a": 1})

    letters = give_up(tables, fold_changes(tables, [heavy, light]))

    assert len(letters) == LARGE_UPDATES
    assert properties(tables, heavy) == {"own": 1}
    assert properties(tables, light) == {"own": 1, "a": 1}


def test_properties_that_are_cleared_first_may_grow_again(tables: ClickHouseEventStore) -> None:
    (identifier,) = create(tables, 1)
    change(tables, identifier, 0, {"k0": "x" * LARGE_BYTES})
    change(tables, identifier, 1, {"k1": "x" * LARGE_BYTES})
    change(tables, identifier, 2, "null")
    change(tables, identifier, 3, {"k2": "x" * LARGE_BYTES})

    assert fold_changes(tables, [identifier]) == []
    assert properties(tables, identifier).keys() == {"k2"}


def test_ids_that_are_too_heavy_together_fold_in_parts(tables: ClickHouseEventStore) -> None:
    ids = create(tables, 9)
    for identifier in ids:
        change(tables, identifier, 0, {"a": 1})

    assert fold_changes(WeakStore(tables, ids_max=2), ids) == []

    assert all(properties(tables, identifier) == {"own": 1, "a": 1} for identifier in ids)


def test_an_id_that_is_too_heavy_alone_is_letters_and_holds_up_no_other(tables: ClickHouseEventStore) -> None:
    heavy, *others = create(tables, 5)
    count = WORK_BYTES_MIN // MERGED_BYTES_MAX + 50
    change_often(tables, heavy, count, patch_bytes=MERGED_BYTES_MAX // 500)
    for identifier in others:
        change(tables, identifier, 0, {"a": 1})
    weak = WeakStore(tables, ids_max=100, too_heavy=heavy)

    letters = give_up(weak, fold_changes(weak, [*others, heavy]))

    assert len(letters) == count
    assert {(one.reason, one.error_code, one.error_name) for one in letters} == {("fold_rejected", *MEMORY)}
    assert all(properties(tables, identifier) == {"own": 1, "a": 1} for identifier in others)
    change(tables, heavy, SECOND_US, {"later": 1})
    assert fold_changes(tables, [heavy]) == []
    assert properties(tables, heavy)["later"] == 1


def test_an_ill_store_gives_up_no_light_id(tables: ClickHouseEventStore) -> None:
    ids = create(tables, 3)
    for identifier in ids:
        change(tables, identifier, 0, {"a": 1})

    with pytest.raises(StoreUnavailable):
        fold_changes(WeakStore(tables, ids_max=0), ids)

    (row,) = tables.select("SELECT count() AS n FROM event_changes", {})
    assert row["n"] == len(ids)


def test_a_statement_beyond_its_time_or_memory_is_told_from_other_failures(tables: ClickHouseEventStore) -> None:
    for limit in ("max_memory_usage = 1000000", "max_execution_time = 0.01"):
        with pytest.raises(StoreOverburdened):
            tables.execute(f"SELECT length(groupArray(number)) FROM numbers(100000000) SETTINGS {limit}", {})
