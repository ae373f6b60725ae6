"""When a refused fold is the changes' fault, and when it is the store's."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from event_analytics.change import accept_update, decode_stored_change
from event_analytics.change_log import CHANGE_LOG_EPOCH, record_of_row
from event_analytics.dead_letters import DeadLetterWriter, DeadRecord, dead_letter_of, parse_letter_name
from event_analytics.errors import StoreRejected, StoreUnavailable
from event_analytics.event_fields import fields_of
from event_analytics.folding import fold_changes
from event_analytics.giving_up import give_up_expired
from event_analytics.isolation import UNKNOWN_REFUSALS_MAX
from tests.builders import ACCEPTED_US, ids_in
from tests.fakes import FakeEventLog, FakeEventStore, FakeObjectStore

REFUSAL = StoreRejected(36, "BAD_ARGUMENTS", "no", is_known=False)


class RefusingStore(FakeEventStore):
    """Refuses folds of `refused` ids; None: whatever is folded."""

    def __init__(self, refused: Sequence[UUID] | None) -> None:
        super().__init__()
        self.refused = None if refused is None else {str(each) for each in refused}

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        super().select(sql, parameters)
        return (
            [{"are_all_deleted": 0, "deleted": [], "embedded": [], "version_min": 0, "has_embeddings": 0}]
            if "AS embedded" in sql
            else []
        )

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        is_fold = "INSERT INTO events " in sql
        if is_fold and (self.refused is None or self.refused & set(ids_in(parameters))):
            raise REFUSAL
        super().execute(sql, parameters)


def test_only_the_ids_whose_folds_are_refused_come_back() -> None:
    ids = [uuid4() for _ in range(100)]

    assert fold_changes(RefusingStore(ids[40:42]), ids) == [(ids[40], REFUSAL), (ids[41], REFUSAL)]


def test_a_code_that_nobody_knows_is_believed_of_any_number_of_ids_where_a_fold_of_nothing_runs() -> None:
    ids = [uuid4() for _ in range(UNKNOWN_REFUSALS_MAX)]

    assert [identifier for identifier, _ in fold_changes(RefusingStore(ids), ids)] == ids


def test_a_store_that_refuses_even_a_fold_of_nothing_is_ill_and_no_change_is_at_fault() -> None:
    with pytest.raises(StoreUnavailable, match="fold of nothing"):
        fold_changes(RefusingStore(None), [uuid4()])


def test_expired_ids_beyond_the_first_ones_wait_where_time_is_over() -> None:
    store = FakeEventStore()
    ids = [uuid4() for _ in range(1_200)]
    store.answers = [[{"id": str(identifier)} for identifier in ids]]

    give_up_expired(store, DeadLetterWriter(FakeObjectStore(), FakeEventLog()), 1e9, lambda: False)

    of_ids = [parameters for _, parameters in store.asked if "ids" in parameters]
    assert {identifier for parameters in of_ids for identifier in ids_in(parameters)} == set(map(str, ids[:500]))


def test_a_change_read_back_has_one_letter_whoever_gives_it_up() -> None:
    identifier = uuid4()
    change = accept_update(identifier, fields_of(b'{"properties":{"a":1}}'), uuid4(), ACCEPTED_US)
    row = {
        "change_id": str(change.change_id), "id": str(identifier), "version": ACCEPTED_US, "is_deleted": 0,
        "fields": ["properties"], "event_name": None, "error": None, "latency_ms": None, "input": None, "output": None,
        "conversation_metadata": "", "patch": '{"a":1}', "input_embeddings": [], "output_embeddings": [],
    }  # fmt: skip
    record = record_of_row(row)

    names = {dead_letter_of(DeadRecord(record, reason, "d"), CHANGE_LOG_EPOCH, 1).name for reason in ("a", "b")}
    assert len(names) == 1
    assert parse_letter_name(names.pop())
    assert decode_stored_change(record.value or b"").patch == {"a": 1}
    assert (record.topic, record.key, record.timestamp_ms) == (
        "event-changes", str(identifier).encode(), ACCEPTED_US // 1_000,
    )  # fmt: skip
