"""Delete wins for ever, over creates of the same id under another key too; and how the check finds an hour's rows."""

import json
import re
import uuid
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.conflict_settling import settle_ids
from event_analytics.identifiers import mint_uuid7
from event_analytics.integrity import Kind, Span, compile_part, compile_rows, group_rows, judge, read_create
from tests.builders import ACCEPTED_MS, ACCEPTED_US, a_record
from tests.integration.conflicts.test_conflicts import PLACES, Run, Sent

DELETE = Sent(0, None, 5)


class Deleting(Run):
    """Changes are deletes. Place 3 is the hour beside that of place 1, in another conversation."""

    places = (*PLACES, ("c0", "2026-09-21T17:00:01Z"))

    def _change(self, sent: Sent, offset: int) -> bytes:
        change: dict[str, Any] = json.loads(super()._change(sent, offset))
        return json.dumps({**change, "fields": [], "latency_ms": None, "is_deleted": 1}).encode()

    def judged(self, history: list[tuple[int, Sent]]) -> Kind | None:
        """What the integrity check says of the first id, if the archive has all that was sent."""
        records = [a_record(offset, value=self._create(sent)) for offset, sent in history if sent.place is not None]
        creates = [create for record in records if (create := read_create(record)) is not None]
        asked = compile_rows([self.ids[0]])
        return judge(creates, group_rows(self.store.select(asked.sql, asked.parameters))[self.ids[0]])[0]


def test_a_deleted_id_that_is_sent_again_in_another_hour_stays_deleted(store: ClickHouseEventStore) -> None:
    run = Deleting(store)
    run.ids[0] = mint_uuid7(ACCEPTED_MS + 2 * 3_600_000, uuid.uuid4().bytes)  # the hour of place 1
    history = list(enumerate([Sent(0, 1, 1), DELETE, Sent(0, 3, 9)]))  # place 3: the hour beside

    settled = [run.deliver([each]) for each in history]
    run.merge()

    assert settled == [0, 0, 1]
    assert run.counted(0) == []
    assert run.shown(0)["is_deleted"]
    assert run.deliver(history) == 0
    assert run.counted(0) == []


def test_a_deleted_id_that_is_sent_again_in_its_own_hour_is_in_conflict_until_it_is_settled_for_good(
    store: ClickHouseEventStore,
) -> None:
    run = Deleting(store)
    run.ids[0] = mint_uuid7(ACCEPTED_MS, uuid.uuid4().bytes)  # the hour of places 0 and 2
    history = list(enumerate([Sent(0, 0, 1), DELETE, Sent(0, 2, 9)]))
    for each in history:
        assert run.deliver([each]) == 0  # load looks up no id that tells its hour

    found = run.judged(history[2:])  # the archive of the hour of acceptance of the second create
    settled = settle_ids(store, [run.ids[0]])
    run.merge()
    run.deliver(history)

    assert (found, settled) == (Kind.CONFLICTING, 1)
    assert run.counted(0) == []
    assert run.judged(history) is None


def test_an_id_that_was_accepted_before_the_deleted_one_and_came_after_stays_deleted(
    store: ClickHouseEventStore,
) -> None:
    run = Deleting(store)
    run.ids[0] = mint_uuid7(ACCEPTED_MS, uuid.uuid4().bytes)
    history = list(enumerate([Sent(0, 0, 5), DELETE, Sent(0, 2, 1)]))
    for each in history:
        run.deliver([each])

    found = run.judged(history)
    settle_ids(store, [run.ids[0]])
    run.merge()

    assert found is Kind.CONFLICTING
    assert run.counted(0) == []
    assert run.judged(history) is None


def test_rows_of_one_hour_of_acceptance_are_found_without_reading_all(store: ClickHouseEventStore) -> None:
    day_us, row = 86_400_000_000, "generateUUIDv4(), 'u', 'c', 'e', toDateTime64('2011-01-01 00:00:00', 3, 'UTC')"
    sql = "INSERT INTO events (id, user_id, conversation_id, event_name, timestamp, accepted_us) SELECT {}, {} FROM {}"
    for day in range(4):
        accepted = f"{ACCEPTED_US + day * day_us} + number"
        store.command(sql.format(row.replace("01-01", f"01-0{day + 1}"), accepted, "numbers(20000)"))
    store.command("OPTIMIZE TABLE events PARTITION '2010-12-27' FINAL")
    asked = compile_part(Span(ACCEPTED_US, ACCEPTED_US + day_us), 0, 1, is_changes=False)

    told = store.select(f"EXPLAIN indexes = 1 {asked.sql}", asked.parameters)

    text = "\n".join(row["explain"] for row in told)
    read, of = map(int, re.findall(r"Name: accepted_us_range.*?Granules: (\d+)/(\d+)", text, re.DOTALL)[0])
    assert read < of / 2
    assert len(store.select(asked.sql, asked.parameters)) >= 20_000
