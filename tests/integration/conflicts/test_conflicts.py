"""One id under several keys ends as one event, the first accepted, whatever order its creates arrive in."""

import json
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.conflict_settling import settle_conflicts
from event_analytics.conflicts import key_of
from event_analytics.event import decode_stored_event
from event_analytics.folding import fold_changes, fold_pending
from event_analytics.identifiers import mint_uuid7
from event_analytics.isolation import LoadRow, insert_isolated
from event_analytics.load import EMBEDDINGS_COLUMNS, EMBEDDINGS_TABLE, plan_load
from event_analytics.questions.event import compile_embeddings, compile_event
from tests.builders import ACCEPTED_MS, ACCEPTED_US, a_record
from tests.long_forms import Record, cases_within

# Two hours of one conversation, and another conversation in the first hour.
PLACES = (("c1", "2026-09-21T14:13:20Z"), ("c1", "2026-09-21T16:13:20Z"), ("c0", "2026-09-21T14:13:21Z"))
VECTORS = ("AACAPw==", "AAAAQA==", "AABAQA==", "AACAQA==")  # of each place: its number plus 1
IDS = 2


# Of the long form: rounds of so many histories, each round with random numbers of its own. A history takes a
# second of one core.
ROUND, ROUNDS_MAX, SENT_MAX = 40, 8, 9
SECONDS_MAX = 240.0  # no round begins after it


def empty_tables(store: ClickHouseEventStore) -> None:
    """Remove what other cases left: a DELETE goes through every part of its table, theirs too."""
    for table in ("events", "event_changes", "event_embeddings", "pending_changes"):
        store.command(f"TRUNCATE TABLE {table}")


class Sent(NamedTuple):
    """A create (place, moment of acceptance) or, with place None, a change at that moment."""

    which: int
    place: int | None
    moment: int


SENT = st.builds(Sent, st.integers(0, IDS - 1), st.none() | st.integers(0, len(PLACES) - 1), st.integers(1, 6))


class Run:
    """One history over ids of its own."""

    places = PLACES

    def __init__(self, store: ClickHouseEventStore) -> None:
        self.store = store
        self.ids = [uuid.uuid4() for _ in range(IDS)]
        self.epoch = uuid.uuid4().hex

    def deliver(self, batch: list[tuple[int, Sent]]) -> int:
        """As `load` does: embeddings, events, conflicts, changes, fold."""
        plan = plan_load(a_record(offset, value=self._create(sent)) for offset, sent in batch if sent.place is not None)
        assert not plan.dead
        insert_isolated(self.store, EMBEDDINGS_TABLE, plan.embedding_rows, self.epoch, EMBEDDINGS_COLUMNS)
        assert not insert_isolated(self.store, "events", plan.event_rows, self.epoch)
        settled = settle_conflicts(self.store, [row.event for row in plan.event_rows])
        changes = [(offset, sent) for offset, sent in batch if sent.place is None]
        rows = [
            LoadRow(a_record(offset, topic="event-changes"), self._change(sent, offset)) for offset, sent in changes
        ]
        assert not insert_isolated(self.store, "event_changes", rows, self.epoch, CHANGE_COLUMNS)
        fold_changes(self.store, list({self.ids[sent.which]: None for _, sent in changes}))
        return settled

    def _create(self, sent: Sent) -> bytes:
        assert sent.place is not None
        conversation_id, timestamp = self.places[sent.place]
        return json.dumps(
            {
                "accepted_us": ACCEPTED_US + sent.moment, "id": str(self.ids[sent.which]), "user_id": "u",
                "conversation_id": f"{conversation_id}-{self.epoch}", "event_name": "e", "timestamp": timestamp,
                "output": f"place {sent.place}", "input_embeddings": VECTORS[sent.place],
            }
        ).encode()  # fmt: skip

    def _change(self, sent: Sent, offset: int) -> bytes:
        return json.dumps(
            {
                "change_id": str(uuid.uuid5(self.ids[sent.which], str(offset))), "id": str(self.ids[sent.which]),
                "version": ACCEPTED_US + 100 + offset, "fields": ["latency_ms"], "latency_ms": offset,
            }
        ).encode()  # fmt: skip

    def merge(self) -> None:
        for table in ("events", "event_embeddings"):
            self.store.command(f"OPTIMIZE TABLE {table} FINAL")

    def counted(self, which: int) -> list[dict[str, Any]]:
        """What reports count of an id."""
        sql = (
            "SELECT id, output, accepted_us, latency_ms, conversation_id, "
            "toUnixTimestamp64Milli(timestamp) AS timestamp_ms FROM events FINAL WHERE id = {id:UUID}"
        )
        return self.store.select(sql, {"id": str(self.ids[which])})

    def shown(self, which: int) -> dict[str, Any]:
        """What GET /event/{id} finds."""
        query = compile_event(self.ids[which])
        (row,) = self.store.select(query.sql, query.parameters)
        return row

    def assert_survivor(self, which: int, history: list[tuple[int, Sent]]) -> None:
        creates = [sent for _, sent in history if sent.which == which and sent.place is not None]
        if not creates:
            assert self.counted(which) == []
            return
        first = min(creates, key=lambda sent: (sent.moment, key_of(decode_stored_event(self._create(sent)))))
        changes = [offset for offset, sent in history if sent.which == which and sent.place is None]
        (row,) = self.counted(which)
        assert row["output"] == f"place {first.place}"
        assert row["latency_ms"] == (max(changes) if changes else None)
        assert row["accepted_us"] == ACCEPTED_US + first.moment
        assert (self.shown(which)["output"], self.shown(which)["is_deleted"]) == (row["output"], 0)
        vectors = compile_embeddings(row)
        assert self.store.select(vectors.sql, vectors.parameters)[0]["input_embeddings"] == [
            float(first.place or 0) + 1
        ]
        sql = "SELECT count() AS n FROM event_embeddings FINAL WHERE id = {id:UUID}"
        assert self.store.select(sql, {"id": str(self.ids[which])}) == [{"n": 1}]


def check(store: ClickHouseEventStore, sent: list[Sent], data: st.DataObject) -> None:
    empty_tables(store)
    run = Run(store)
    history = list(enumerate(sent))
    for _ in range(data.draw(st.integers(0, 4))):
        run.deliver(data.draw(st.lists(st.sampled_from(history), min_size=1, max_size=3, unique=True)))
        if data.draw(st.booleans()):
            run.merge()
    for each in data.draw(st.permutations(history)):
        run.deliver([each])
        if data.draw(st.integers(0, 3)) == 0:
            run.merge()
    fold_pending(store, ACCEPTED_US / 1_000_000, lambda: True)
    for which in range(IDS):
        run.assert_survivor(which, history)
    assert run.deliver(history) == 0  # nothing is in conflict any more
    run.merge()
    for which in range(IDS):
        run.assert_survivor(which, history)


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.mark.timeout(300)
@settings(max_examples=15, deadline=None, suppress_health_check=QUIET)
@given(sent=st.lists(SENT, min_size=1, max_size=7), data=st.data())
def test_the_first_accepted_survives_any_order(
    store: ClickHouseEventStore, sent: list[Sent], data: st.DataObject
) -> None:
    check(store, sent, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_the_first_accepted_survives_any_order_long(store: ClickHouseEventStore, record_property: Record) -> None:
    @settings(max_examples=ROUND, deadline=None, suppress_health_check=QUIET)
    @given(sent=st.lists(SENT, min_size=1, max_size=SENT_MAX), data=st.data())
    def run_round(sent: list[Sent], data: st.DataObject) -> None:
        check(store, sent, data)

    for _ in cases_within(ROUNDS_MAX, f"rounds of {ROUND}", SECONDS_MAX, record_property):
        run_round()


def test_a_conflict_is_counted_once_and_the_later_create_hidden(store: ClickHouseEventStore) -> None:
    run = Run(store)
    creates = [Sent(0, 1, 1), Sent(0, 0, 2)]

    settled = [run.deliver([(offset, each)]) for offset, each in enumerate(creates)]
    again = run.deliver(list(enumerate(creates)))

    assert (settled, again) == ([0, 1], 0)
    assert [row["output"] for row in run.counted(0)] == ["place 1"]


def test_a_key_that_was_hidden_comes_back_when_its_create_was_the_first_accepted(store: ClickHouseEventStore) -> None:
    run = Run(store)
    history = list(enumerate([Sent(0, 0, 3), Sent(0, 1, 5), Sent(0, None, 4), Sent(0, 1, 2)]))
    for each in history:
        run.deliver([each])
        run.merge()

    run.assert_survivor(0, history)


def test_a_change_after_the_conflict_reaches_the_survivor(store: ClickHouseEventStore) -> None:
    run = Run(store)
    history = list(enumerate([Sent(0, 1, 1), Sent(0, 0, 2), Sent(0, None, 3), Sent(0, None, 4)]))
    for each in history:
        run.deliver([each])

    run.assert_survivor(0, history)


def test_two_events_of_one_request_with_one_id_are_one_event(store: ClickHouseEventStore) -> None:
    run = Run(store)
    history = list(enumerate([Sent(0, 1, 1), Sent(0, 0, 1), Sent(0, 2, 1)]))

    assert run.deliver(history) == 1
    run.assert_survivor(0, history)


def test_a_change_reaches_a_survivor_whose_id_tells_the_time_of_the_hidden_row(store: ClickHouseEventStore) -> None:
    run = Run(store)
    run.ids[0] = mint_uuid7(ACCEPTED_MS, uuid.uuid4().bytes)  # the hour of place 0
    history = list(enumerate([Sent(0, 0, 2), Sent(0, 1, 1), Sent(0, None, 3)]))
    for each in history:
        run.deliver([each])

    run.assert_survivor(0, history)
