"""Which ids could stand under two keys, and which rows stay."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from event_analytics.conflict_settling import settle_conflicts
from event_analytics.conflict_sql import compile_hiding
from event_analytics.conflicts import (
    Key,
    KeyRows,
    conflict_candidates,
    decide,
    key_of,
)
from event_analytics.errors import StoreUnavailable
from event_analytics.event import StoredEvent
from event_analytics.fold import TOMBSTONE_VERSION_MIN
from event_analytics.identifiers import mint_uuid7
from tests.builders import ACCEPTED_MS, ACCEPTED_US, UUID4, ids_in
from tests.fakes import FakeEventStore

MOMENT = datetime.fromtimestamp(ACCEPTED_MS / 1_000, tz=UTC)
ID = UUID(UUID4)
HOUR = int(MOMENT.timestamp()) // 3_600 * 3_600
FOLDED = ACCEPTED_US * 4_096


def a_create(identifier: UUID = ID, *, conversation_id: str = "c1", hours: float = 0, accepted: int = 0) -> StoredEvent:
    moment = MOMENT + timedelta(hours=hours)
    return StoredEvent(identifier, "e", moment, ACCEPTED_US + accepted, conversation_id=conversation_id)


def created(first: int) -> int:
    return 2**52 - first


def a_row(*keys: tuple[str, int, int, int, int]) -> dict[str, object]:
    return {"id": UUID4, "keys": [list(key) for key in keys]}


@pytest.mark.parametrize(
    ("hours", "is_candidate"),
    [(0, False), (0.7, False), (1, True), (-1, True), (2.1, True), (-2.1, True), (24 * 365, True)],
)
def test_an_id_of_version_7_is_looked_up_if_its_time_lies_elsewhere(hours: float, is_candidate: bool) -> None:
    identifier = mint_uuid7(ACCEPTED_MS, bytes(10))

    assert conflict_candidates([a_create(identifier, hours=hours)]) == [identifier] * is_candidate


def test_an_id_of_another_version_is_always_looked_up_once() -> None:
    assert conflict_candidates([a_create(), a_create(accepted=5)]) == [ID]


def test_an_id_that_a_batch_holds_under_two_keys_is_looked_up() -> None:
    honest = mint_uuid7(ACCEPTED_MS, bytes(10))

    assert conflict_candidates([a_create(honest), a_create(honest)]) == []
    assert conflict_candidates([a_create(honest), a_create(honest, conversation_id="c2")]) == [honest]


def test_the_key_is_the_conversation_and_the_hour() -> None:
    assert key_of(a_create()) == Key("c1", HOUR)


def test_the_first_accepted_stays_and_the_others_are_hidden() -> None:
    row = a_row(("c1", HOUR, 20, 20, created(20)), ("c2", HOUR, 10, 10, created(10)), ("c0", HOUR, 30, 30, created(30)))

    settlement = decide([row], [])

    assert settlement.hide == [KeyRows(ID, Key("c1", HOUR), 20), KeyRows(ID, Key("c0", HOUR), 30)]
    assert settlement.revive == settlement.backdate == []


def test_ties_go_to_the_smaller_key_in_any_order() -> None:
    keys = [("c1", HOUR, 10, 10, created(10)), ("c0", HOUR, 10, 10, created(10)), ("c0", HOUR - 3_600, 10, 10, 7)]

    hidden = {frozenset(rows.key for rows in decide([a_row(*order)], []).hide) for order in permutations(keys)}

    assert hidden == {frozenset({Key("c1", HOUR), Key("c0", HOUR)})}


def test_what_is_settled_stays_as_it_is() -> None:
    hidden = ("c1", HOUR, 20, 20, TOMBSTONE_VERSION_MIN + created(20))

    assert decide([a_row(hidden, ("c2", HOUR, 10, 10, FOLDED))], []).ids == []


def test_a_hidden_key_whose_create_was_the_first_accepted_comes_back() -> None:
    hidden = ("c1", HOUR, 5, 20, TOMBSTONE_VERSION_MIN + created(20))

    settlement = decide([a_row(hidden, ("c2", HOUR, 10, 10, FOLDED))], [])

    assert settlement.revive == [KeyRows(ID, Key("c1", HOUR), 5)]
    assert settlement.hide == [KeyRows(ID, Key("c2", HOUR), 10)]


def test_a_hidden_key_remembers_its_earliest_acceptance() -> None:
    hidden = ("c1", HOUR, 15, 20, TOMBSTONE_VERSION_MIN + created(20))

    assert decide([a_row(hidden, ("c2", HOUR, 10, 10, FOLDED))], []).hide == [KeyRows(ID, Key("c1", HOUR), 15)]


def test_a_create_that_a_merge_swallowed_is_known_from_the_batch() -> None:
    late = a_create(accepted=-5)

    settlement = decide([a_row(("c1", HOUR, ACCEPTED_US, ACCEPTED_US, FOLDED))], [late])

    assert settlement.backdate == [KeyRows(ID, Key("c1", HOUR), ACCEPTED_US - 5)]


def test_tombstones_lie_above_every_fold_until_2041_and_order_by_acceptance() -> None:
    until_us = int(datetime(2041, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)

    assert until_us * 4_096 + 4_095 < TOMBSTONE_VERSION_MIN
    assert TOMBSTONE_VERSION_MIN + created(10) > TOMBSTONE_VERSION_MIN + created(20)
    assert TOMBSTONE_VERSION_MIN + created(0) < 2**64
    (embeddings, events) = compile_hiding(decide([a_row(("c1", 0, 2, 2, 1), ("c2", 0, 1, 1, 1))], []))
    assert ids_in(events.parameters) == [UUID4]
    assert events.parameters.items() >= {"conversations": ["c1"], "hours": [0], "firsts": [2]}.items()
    assert (embeddings.sql.split()[2], events.sql.split()[2]) == ("event_embeddings", "events")


def test_nothing_is_asked_where_nothing_could_conflict() -> None:
    store = FakeEventStore()

    assert settle_conflicts(store, [a_create(mint_uuid7(ACCEPTED_MS, bytes(10)))]) == 0
    assert store.asked == []


def test_a_conflict_is_noted_written_looked_at_again_and_then_folded() -> None:
    store = FakeEventStore()
    store.answers = [[a_row(("c1", HOUR, 20, 20, created(20)), ("c2", HOUR, 10, 10, created(10)))]]

    assert settle_conflicts(store, [a_create()]) == 1
    statements = [" ".join(sql.split()[:3]) for sql, _ in store.asked]
    assert statements == [
        "SELECT id, groupArray((conversation_id,", "INSERT INTO hour_marks",
        "DELETE FROM pending_changes", "INSERT INTO pending_changes",
        "INSERT INTO event_embeddings", "INSERT INTO events",
        "SELECT id, groupArray((conversation_id,",
        "SELECT min(is_deleted) AS", "SELECT groupUniqArrayArray(current.hours) AS",
        "INSERT INTO hour_marks",
    ]  # fmt: skip


def test_ids_that_others_settle_again_and_again_are_left_to_the_next_attempt() -> None:
    store = FakeEventStore()
    store.answers = [[a_row(("c1", HOUR, 20, 20, created(20)), ("c2", HOUR, 10, 10, created(10)))]] * 99

    with pytest.raises(StoreUnavailable, match="same moment"):
        settle_conflicts(store, [a_create()])


def test_rows_are_put_back_before_and_after_their_tombstone_goes() -> None:
    hidden = ("c1", HOUR, 5, 20, TOMBSTONE_VERSION_MIN + created(20))
    store = FakeEventStore()
    store.answers = [[a_row(hidden, ("c2", HOUR, 10, 10, FOLDED))], [{"id": UUID4}], []]

    assert settle_conflicts(store, [a_create()]) == 1
    assert store.lines("events") == [{"id": UUID4}, {"id": UUID4}]
    assert sum(sql.lstrip().startswith("DELETE FROM events") for sql, _ in store.asked) == 1
