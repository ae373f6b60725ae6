"""What keeps rollups in order: damage is noticed and mended, what is superseded goes, open hours wait."""

import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import StoreUnavailable
from event_analytics.rollup import CONVERSATION_HOURS, EVENT_NAME_HOURS, USER_HOURS, Rollup
from event_analytics.rollup_building import clear_superseded, mend_rollups
from tests.integration.rollups.day import HOURS, Day, Meanwhile, die


def doubled(day: Day, rollup: Rollup, generation: uuid.UUID) -> None:
    table = rollup.table
    day.store.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE generation = {{g:UUID}}", {"g": generation})


def thinned(day: Day, rollup: Rollup, generation: uuid.UUID) -> None:
    some = f"{rollup.key} IN ('a', 'e0', 'c1')"
    day.store.execute(f"DELETE FROM {rollup.table} WHERE generation = {{g:UUID}} AND {some}", {"g": generation})


@pytest.mark.parametrize(
    ("damage", "rollup"),
    [(doubled, USER_HOURS), (thinned, USER_HOURS), (thinned, EVENT_NAME_HOURS), (doubled, CONVERSATION_HOURS)],
    ids=lambda each: getattr(each, "table", None),
)
def test_a_damaged_rollup_is_noticed_left_aside_and_mended(
    day: Day, rollup: Rollup, damage: Callable[[Day, Rollup, uuid.UUID], None]
) -> None:
    damage(day, rollup, day.held()[day.unix(4)])

    day.assert_exact()
    assert day.torn_answers == 1
    mend_rollups(day.store)
    assert day.unix(4) not in day.held()
    day.build()
    assert len(day.held()) == HOURS
    day.assert_exact()
    assert day.torn_answers == 1


def test_where_nobody_was_active_missing_rows_are_noticed_too(store: ClickHouseEventStore) -> None:
    day = Day(store)
    day.deliver([day.create(uuid.uuid4(), "only", 2)])
    day.build()
    store.execute("DELETE FROM user_hours WHERE generation = {g:UUID}", {"g": day.held()[day.unix(2)]})

    day.assert_exact()
    assert day.whole_answers == 1, "beside that about errors, an answer without rows is believed"


def test_superseded_counts_go_and_with_them_what_dead_builders_left(day: Day) -> None:
    day.deliver([day.create(uuid.uuid4(), "a", 1)])
    with suppress(StoreUnavailable):
        day.build(Meanwhile(day.store, 4, die))  # before the commit
    day.build()
    held = day.held()

    assert clear_superseded(day.store, 3_600) == 0
    assert clear_superseded(day.store, 0) >= 2
    assert clear_superseded(day.store, 0) == 0
    kept = day.store.select(
        "SELECT DISTINCT generation FROM user_hours WHERE hour >= {d:DateTime('UTC')}",
        {"d": day.start.replace(tzinfo=None)},
    )
    assert {uuid.UUID(row["generation"]) for row in kept} == set(held.values())
    assert day.held() == held
    day.assert_exact()


def test_marks_are_added_up_by_merges_and_hours_hold_as_before(day: Day) -> None:
    before = day.held()
    day.store.command("OPTIMIZE TABLE hour_marks FINAL")

    rows = day.store.select("SELECT max(rows) AS rows FROM (SELECT count() AS rows FROM hour_marks GROUP BY hour)", {})
    assert rows == [{"rows": 1}]
    assert day.held() == before
    day.deliver([day.create(uuid.uuid4(), "a", 6)])
    day.store.command("OPTIMIZE TABLE hour_marks FINAL")
    assert set(before) - set(day.held()) == {day.unix(6)}


def test_an_open_hour_is_not_counted(store: ClickHouseEventStore) -> None:
    day = Day(store)
    day.deliver([day.create(uuid.uuid4(), "a", 0), day.create(uuid.uuid4(), "a", 1)])

    day.build(until=day.at(2, 4))
    assert set(day.held()) == {day.unix(0)}
    day.build(until=day.at(2, 6))
    assert set(day.held()) == {day.unix(0), day.unix(1)}
    day.assert_exact()
