"""Which records an erasure takes away, and how it is remembered."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from event_analytics.change import accept_update, encode_change
from event_analytics.erasure import Erased, Erasure, hash_user, id_of
from event_analytics.erasure_index import ERASED_PREFIX, IDS_PER_PART, ErasureIndex, write_part
from event_analytics.erasure_watch import ErasureWatch
from event_analytics.event_fields import fields_of
from event_analytics.kafka_batch import KafkaRecord
from tests.builders import ACCEPTED_US, UUID4, a_record, an_event, ids_in
from tests.fakes import FakeEventStore, FakeObjectStore

ALICE = Erasure(hash_user("alice"), ACCEPTED_US)
ERASED_ID = UUID(UUID4)


@pytest.fixture
def erased() -> Erased:
    erased = Erased()
    erased.add_user(ALICE)
    erased.add_ids([ERASED_ID.bytes], ALICE)
    return erased


def a_create(user: str | None = "alice", accepted_us: int = ACCEPTED_US, **fields: Any) -> KafkaRecord:
    event = {**an_event(user_id=user), "timestamp": "2026-09-21T14:13:20Z", "accepted_us": accepted_us}
    return a_record(value=json.dumps(event).encode(), **{"key": b"k", **fields})


def a_change(identifier: UUID = ERASED_ID, version: int = ACCEPTED_US) -> KafkaRecord:
    change = accept_update(identifier, fields_of(b'{"error": "x"}'), uuid4(), version)
    return a_record(topic="event-changes", key=str(identifier).encode(), value=encode_change(change))


@pytest.mark.parametrize(
    ("record", "is_erased"),
    [
        (a_create(), True),
        (a_create(accepted_us=ACCEPTED_US + 1), False),
        (a_create(user="bob", key=b"alice"), False),
        (a_create(user=None, key=b"alice"), False),
        (a_change(), True),
        (a_change(version=ACCEPTED_US + 10_000), True),  # of the same request, as far as anybody can tell
        (a_change(version=ACCEPTED_US + 10_001), False),
        (a_change(identifier=uuid4()), False),
        (a_record(value=None, key=b"alice"), False),
        (a_record(value=b"{", key=b"alice"), True),
        (a_record(value=b"{", key=b"alice", timestamp_ms=ACCEPTED_US // 1_000 + 1), False),
        (a_record(value=b"{", key=b"bob"), False),
        (a_record(value=b'{"user_id" : "al\\u0069ce", ', key=None), True),
        (a_record(value=b'{"user_id": 7, "id": "x"}', key=b"bob"), False),
        (a_record(value=b"\xff\xfe", key=b"\xff"), False),
        (a_record(value=b'{"change_id":', key=UUID4.encode()), True),
        (a_record(value=b"[" * 100_000, key=b"alice"), True),
    ],
)
def test_a_record_goes_if_it_is_the_users_and_was_accepted_by_then(
    erased: Erased, record: KafkaRecord, is_erased: bool
) -> None:
    assert erased.keeps(record) is not is_erased
    assert Erased().keeps(record)


def test_a_hit_on_a_create_names_the_event_and_one_on_a_change_does_not(erased: Erased) -> None:
    created = erased.find(a_create())
    broken = erased.find(a_record(value=b'{"user_id": "alice", "id": "%b", ' % UUID4.encode(), key=None))
    changed = erased.find(a_change())

    assert created is not None
    assert broken is not None
    assert changed is not None
    assert (created.erasure, created.created_id) == (ALICE, id_of(a_create().value))
    assert (broken.created_id, changed.created_id) == (ERASED_ID, None)


def test_of_several_erasures_the_latest_counts_in_any_order() -> None:
    later = Erasure(ALICE.user_hash, ACCEPTED_US + 5)
    for order in ((ALICE, later), (later, ALICE)):
        erased = Erased()
        for erasure in order:
            erased.add_user(erasure)
            erased.add_ids([ERASED_ID.bytes], erasure)

        assert erased.erasure_of("alice") == later
        assert erased.has_id(ERASED_ID, later)
        assert not erased.only(["other"]).has_id(ERASED_ID)


def test_a_user_is_remembered_by_a_hash_that_clickhouse_computes_too() -> None:
    assert hash_user("alice") == "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
    assert len(hash_user("\ud800")) == 64


def test_the_index_gives_back_what_was_written_and_fetches_each_part_once() -> None:
    objects, index = FakeObjectStore(), ErasureIndex()
    ids = [uuid4().bytes for _ in range(IDS_PER_PART + 1)]
    write_part(objects, "run1", ACCEPTED_US, {ALICE: ()})
    assert index.read(objects).erasure_of("alice") == ALICE
    names = write_part(objects, "run1", ACCEPTED_US + 1, {ALICE: ids})
    read = index.read(objects)
    assert len(names) == 2
    assert dict(read.ids()) == dict.fromkeys(ids, ALICE)

    bodies, objects.objects = objects.objects, dict.fromkeys(objects.objects, b"read again")
    assert index.read(objects) is read
    assert dict(ErasureIndex().read(FakeObjectStore()).ids()) == {}
    assert all(name.startswith(ERASED_PREFIX) and b"alice" not in body for name, body in bodies.items())


def test_a_part_that_a_slow_clock_has_written_is_found() -> None:
    objects, index = FakeObjectStore(), ErasureIndex()
    bob = Erasure(hash_user("bob"), 1)
    write_part(objects, "run1", ACCEPTED_US, {ALICE: ()})
    index.read(objects)
    write_part(objects, "run2", ACCEPTED_US - 60_000_000, {bob: ()})

    assert index.read(objects).erasure_of("bob") == bob


class TablesOf(FakeEventStore):
    """Answers as the tables of erasures do."""

    def __init__(self, *erasures: Erasure) -> None:
        super().__init__()
        self.erasures = erasures

    def select(self, sql: str, parameters: Any) -> list[dict[str, Any]]:
        self.asked.append((sql, parameters))
        if "count()" in sql:
            return [{"number": len(self.erasures)}]
        if "ids" in parameters:
            return [{"id": UUID4, **ALICE._asdict()}] if UUID4 in ids_in(parameters) else []
        return [erasure._asdict() for erasure in self.erasures]


def test_where_nobody_was_erased_a_batch_costs_one_question() -> None:
    store = TablesOf()
    records = [a_create(), a_change()]

    screened = ErasureWatch().screen(store, records)

    assert screened.kept is records
    assert len(store.asked) == 1


def test_the_erased_are_read_again_only_when_there_are_more_of_them() -> None:
    store, watch = TablesOf(ALICE), ErasureWatch()
    creates = [a_create(), a_create(user="bob")]
    assert [len(watch.screen(store, creates).kept) for _ in range(3)] == [1, 1, 1]
    assert len(store.asked) == 4
    store.erasures = (ALICE, Erasure(hash_user("bob"), ACCEPTED_US))

    assert watch.screen(store, creates).kept == []


def test_what_is_left_out_is_noted_so_that_its_changes_are_too() -> None:
    store = TablesOf(ALICE)

    screened = ErasureWatch().screen(store, [a_create(), a_change(), a_change(identifier=uuid4())])

    assert [hit.created_id is None for hit in screened.hits] == [False, True]
    assert [row["user_hash"] for row in store.lines("erased_ids")] == [ALICE.user_hash]
    assert len(screened.kept) == 1
