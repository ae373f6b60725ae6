"""The scheduled pass over changes that wait: what has its event by now is folded, however many have none."""

import itertools
import json
import time
import uuid
from collections.abc import Sequence
from uuid import UUID

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.dead_letters import DEAD_LETTERS_PREFIX
from event_analytics.folding import fold_changes, fold_pending
from event_analytics.observability import InvocationLine
from functions.report import app as report
from tests.builders import ACCEPTED_US
from tests.fakes import FakeEventLog, FakeObjectStore, FakeTopicOffsets

LAST_ID = UUID("ffffffff-ffff-4fff-bfff-ffffffffffff")  # behind all others in the store's order
STRANGERS = 60_000  # ids without events: two passes of what a pass that folded them all had time for
MANY_STRANGERS = 350_000  # more than are looked at in one step
MINUTE_S = 60.0
PASSES_MAX = 20


def note_strangers(store: ClickHouseEventStore, count: int) -> None:
    store.command(
        "INSERT INTO pending_changes (id, change_id, is_folded) "
        f"SELECT generateUUIDv4(1), generateUUIDv4(2), 0 FROM numbers({count})"
    )


def change(store: ClickHouseEventStore, ids: Sequence[UUID]) -> None:
    """Changes that come before their events, as `load` takes them."""
    rows = [
        {"change_id": str(uuid.uuid4()), "id": str(each), "version": ACCEPTED_US, "fields": ["error"], "error": "x"}
        for each in ids
    ]
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    store.insert_rows("event_changes", lines, uuid.uuid4().hex, CHANGE_COLUMNS)
    assert fold_changes(store, ids) == []


def create(store: ClickHouseEventStore, ids: Sequence[UUID]) -> None:
    rows = [
        {
            "id": str(each), "user_id": "u", "conversation_id": "c", "event_name": "e", "properties": {},
            "timestamp": "2026-09-21T14:13:19Z", "accepted_us": ACCEPTED_US,
        }
        for each in ids
    ]  # fmt: skip
    store.insert_rows("events", b"\n".join(json.dumps(row).encode() for row in rows), uuid.uuid4().hex)


def folded(store: ClickHouseEventStore) -> int:
    (row,) = store.select("SELECT countIf(error = 'x') AS folded FROM events FINAL", {})
    count: int = row["folded"]
    return count


def never() -> bool:
    return False


def test_an_event_that_comes_is_folded_in_the_next_pass_however_many_ids_have_none(
    tables: ClickHouseEventStore,
) -> None:
    note_strangers(tables, STRANGERS)
    change(tables, [LAST_ID])
    create(tables, [LAST_ID])

    done = fold_pending(tables, time.time(), never)

    assert (done.looked_at, done.folded, folded(tables)) == (STRANGERS + 1, 1, 1)
    assert fold_pending(tables, time.time(), never).looked_at == STRANGERS


def test_a_pass_that_has_to_stop_each_time_still_gets_to_every_id(tables: ClickHouseEventStore) -> None:
    ids = [uuid.UUID(int=(part << 125) + 1, version=4) for part in range(8)] + [LAST_ID]
    note_strangers(tables, MANY_STRANGERS)
    change(tables, ids)
    create(tables, ids)

    passes = 0
    while folded(tables) < len(ids):
        passes += 1
        assert passes <= PASSES_MAX
        assert fold_pending(tables, passes * MINUTE_S, never).looked_at < MANY_STRANGERS

    assert fold_pending(tables, 0, lambda: True).looked_at == MANY_STRANGERS


def test_a_pass_with_time_looks_at_every_id_wherever_it_begins(tables: ClickHouseEventStore) -> None:
    note_strangers(tables, MANY_STRANGERS)
    change(tables, [LAST_ID, UUID(int=1, version=4)])

    for minute in range(4):
        done = fold_pending(tables, minute * MINUTE_S, lambda: True)
        assert (done.looked_at, done.folded) == (MANY_STRANGERS + 2, 0)


def test_what_waited_too_long_is_given_up_even_if_folding_takes_all_its_time(tables: ClickHouseEventStore) -> None:
    late = uuid.UUID(int=LAST_ID.int - 1)
    change(tables, [late, LAST_ID])
    create(tables, [LAST_ID])
    tables.command(
        "ALTER TABLE pending_changes UPDATE noted_at = now() - INTERVAL 31 DAY WHERE 1 SETTINGS mutations_sync = 1"
    )
    note_strangers(tables, MANY_STRANGERS)
    objects = FakeObjectStore()
    clock = itertools.count(time.time(), report.FOLD_SECONDS_MAX)
    deps = report.Deps(tables, objects, FakeEventLog(), lambda: next(clock), FakeTopicOffsets(), 0)

    line = InvocationLine()
    report.handle({"jobs": ["fold_pending"]}, deps, line)

    assert line.counts["pending_ids"] < MANY_STRANGERS
    assert line.counts["dead_letters"] == 1  # of the one without an event: the other is folded when its turn comes
    assert len([name for name in objects.objects if name.startswith(DEAD_LETTERS_PREFIX)]) == 1
    fold_pending(tables, 0, lambda: True)
    assert folded(tables) == 1
