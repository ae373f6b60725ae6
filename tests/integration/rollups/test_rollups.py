"""Answers from rollups equal a count of events, one case at a time: what touches an hour, and what damages a rollup."""

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import StoreUnavailable
from event_analytics.folding import fold_pending
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Conditions, Select
from event_analytics.questions.top_users import compile_counted, compile_top_users
from event_analytics.rollup import ROLLUPS, compile_counts
from event_analytics.rollup_building import count_hours, read_dirty
from tests.integration.rollups.day import HOURS, Day, Meanwhile, die

FAR_FUTURE = 2**32 - 1


def test_windows_of_whole_and_of_cut_hours_are_answered_from_rollups(day: Day) -> None:
    day.assert_exact()

    assert (day.whole_answers, day.torn_answers) == (3, 0)
    assert day.told == {True: 3}


def test_an_answer_without_rows_leaves_known_what_holds(day: Day) -> None:
    whole_hours = next(day.asked())
    nothing = whole_hours._replace(
        filters=Conditions(("event_name = {event_name:String}",), {"event_name": "none"}), options={"by": "event_name"}
    )

    for asked in (nothing, nothing._replace(filters=Conditions())):
        BY_NAME["errors"].answer(asked, Select(day.select_knowing, day.known))

    assert day.told == {False: 1, True: 1}, "no rows, and whole"


def late(day: Day, _known: uuid.UUID) -> set[int]:
    day.deliver([day.create(uuid.uuid4(), "c", 3)])
    return {3}


def twice(day: Day, _known: uuid.UUID) -> set[int]:
    day.deliver([day.sent[0]])
    return {0}


def update(day: Day, known: uuid.UUID) -> set[int]:
    day.deliver([day.change(known, is_deleted=False)])
    return {1}


def delete(day: Day, known: uuid.UUID) -> set[int]:
    day.deliver([day.change(known, is_deleted=True)])
    return {1}


def conflict(day: Day, known: uuid.UUID) -> set[int]:
    """The same id in another hour, accepted before what is counted in hour 1 and from now on hidden."""
    day.deliver([day.create(known, "y", 5, earlier_by=20)])
    return {1, 5}


@pytest.mark.parametrize("touch", [late, twice, update, delete, conflict])
def test_what_touches_an_hour_makes_it_dirty_until_it_is_counted_again(
    day: Day, touch: Callable[[Day, uuid.UUID], set[int]]
) -> None:
    known = uuid.uuid4()
    day.deliver([day.create(known, "z", 1)])
    day.build()
    before = day.held()
    day.assert_exact()

    touched = touch(day, known)

    assert set(before) - set(day.held()) == {day.unix(hour) for hour in touched}
    day.assert_exact()
    assert day.told == {True: 3, False: 3}
    day.build()
    assert len(day.held()) == HOURS
    day.let_time_pass()
    day.assert_exact()
    assert day.told == {True: 6, False: 3}


def test_a_change_that_waited_for_its_event_is_counted_when_the_next_pass_folds_it(day: Day) -> None:
    known = uuid.uuid4()
    day.deliver([day.change(known, is_deleted=True)])
    day.store.insert_rows("events", day.create(known, "late", 2).value or b"", uuid.uuid4().hex)
    day.deliver([day.create(uuid.uuid4(), "a", 2)])
    day.build()
    day.assert_exact()

    fold_pending(day.store, day.start.timestamp(), lambda: True)
    day.assert_exact()
    assert day.unix(2) not in day.held()


def counted_event(day: Day) -> uuid.UUID:
    identifier = uuid.uuid4()
    day.deliver([day.create(identifier, "x", 0)])
    day.build()
    return identifier


@pytest.mark.parametrize("kind", ["create", "delete", "conflict"])
def test_wherever_a_load_dies_its_redelivery_makes_the_answer_right(day: Day, kind: str) -> None:
    """Somebody counts the hours in between: what the dead one wrote is in that count, or its mark comes."""
    known = counted_event(day)
    make = {
        "create": lambda _: day.create(uuid.uuid4(), "y", 1),
        "delete": lambda _: day.change(counted_event(day), is_deleted=True),
        # The same id in one hour after the other, each time accepted before: what was shown is hidden, and comes back.
        "conflict": lambda step: day.create(known, "y", 1 + step % 3, earlier_by=99 + step),
    }[kind]
    died = 0
    for step in range(40):
        record = make(step)
        with suppress(StoreUnavailable):
            day.deliver([record], Meanwhile(day.store, step, die))
            break
        died += 1
        day.build()
        day.deliver([record])
        day.assert_exact(windows=1)

    assert died >= 3


def test_an_insert_between_marks_and_count_leaves_the_hour_dirty_and_the_answer_exact(day: Day) -> None:
    dirty = read_dirty(day.store, FAR_FUTURE, 1)
    assert dirty == []
    day.deliver([day.create(uuid.uuid4(), "a", 1)])
    hours = read_dirty(day.store, FAR_FUTURE, 1)

    day.deliver([day.create(uuid.uuid4(), "b", 1)])
    count_hours(day.store, hours, uuid.uuid4())

    assert day.unix(1) not in day.held()
    day.assert_exact()


@pytest.mark.parametrize("place", [0, len(ROLLUPS) - 1])
def test_a_count_that_was_written_twice_is_not_committed(day: Day, place: int) -> None:
    day.deliver([day.create(uuid.uuid4(), "a", 1)])
    hours = read_dirty(day.store, FAR_FUTURE, 1)
    generation = uuid.uuid4()
    again = compile_counts(hours, generation)[place]

    count_hours(Meanwhile(day.store, 4, lambda: day.store.execute(*again)), hours, generation)  # type: ignore[arg-type]

    assert day.unix(1) not in day.held()
    day.assert_exact()
    day.build()
    assert day.unix(1) in day.held()


def test_an_event_that_comes_between_the_counts_of_two_tables_leaves_the_hour_dirty(day: Day) -> None:
    day.deliver([day.create(uuid.uuid4(), "a", 1)])
    hours = read_dirty(day.store, FAR_FUTURE, 1)
    late = day.create(uuid.uuid4(), "b", 1)

    def come() -> None:
        day.store.insert_rows("events", late.value or b"", uuid.uuid4().hex)  # not marked yet, so nobody was told

    count_hours(Meanwhile(day.store, 2, come), hours, uuid.uuid4())  # type: ignore[arg-type]

    assert day.unix(1) not in day.held()
    day.deliver([late])
    day.assert_exact()


def test_a_generation_that_is_committed_while_a_query_is_planned_costs_no_event(day: Day) -> None:
    """ClickHouse fixes what it will read of user_hours before it finds out what holds: shown by slowing that down."""
    asked = next(day.asked())
    assert asked.window is not None
    query = compile_top_users(asked)
    slow = query.sql.replace("sum(events), groupArray", "sum(events) + 0 * max(sleep(2)), groupArray")
    assert slow != query.sql
    day.deliver([day.create(uuid.uuid4(), "a", 1)])
    readings = []
    reader = threading.Thread(target=lambda: readings.append(day.store.ask(slow, query.parameters)))
    reader.start()
    wait_until_it_runs(day.store)
    day.build()
    reader.join()

    (reading,) = readings
    users = {row["user_id"]: row["events"] for row in reading.rows}
    expected = {row["user_id"]: row["events"] for row in day.store.ask(*compile_counted(asked)).rows}
    assert users == expected or not reading.rows[0]["is_whole"]
    day.assert_exact()


def wait_until_it_runs(store: ClickHouseEventStore) -> None:
    deadline = monotonic() + 10
    sql = (
        "SELECT count() AS n FROM system.processes WHERE query LIKE '%max(sleep(2))%' AND query NOT LIKE '%processes%'"
    )
    while not store.select(sql, {})[0]["n"]:
        assert monotonic() < deadline
        sleep(0.02)


def test_what_holds_is_computed_once_for_all_of_a_statement(store: ClickHouseEventStore) -> None:
    """As the two halves of an answer rely on it: one that saw more than the other would count twice, or not at all."""
    rows = store.select(
        """
        WITH (SELECT (groupArray(number), generateUUIDv4()) FROM numbers(3)) AS held
        SELECT DISTINCT seen FROM
        (
            SELECT held.2 AS seen FROM numbers(2) WHERE number IN (SELECT arrayJoin(held.1))
            UNION ALL
            SELECT seen FROM numbers(9) AS n
            INNER JOIN (SELECT arrayJoin(held.1) AS number, held.2 AS seen) AS each ON n.number = each.number
        )
        """,
        {},
    )

    assert len(rows) == 1
