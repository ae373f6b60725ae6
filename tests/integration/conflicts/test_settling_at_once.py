"""Several invocations that settle one id at the same moment: one event counts, the first accepted, whoever is late."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.folding import fold_pending
from tests.builders import ACCEPTED_US
from tests.integration.conflicts.test_conflicts import PLACES, QUIET, Run, Sent, empty_tables
from tests.long_forms import Record, cases_within

STEPS_MAX = 60  # statements of one delivery; more than it makes
# Of the long form: rounds of so many orders of statements, each round with random numbers of its own. An order takes
# half a second of one core.
ROUND, ROUNDS_MAX = 20, 6
SECONDS_MAX = 120.0  # no round begins after it


class WatchedStore:
    """A store that asks before each of its statements."""

    def __init__(self, store: ClickHouseEventStore, before_each: Callable[[], None]) -> None:
        self._store = store
        self._before_each = before_each

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        self._before_each()
        self._store.insert_rows(table, rows, token, columns)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        self._before_each()
        self._store.execute(sql, parameters)

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._before_each()
        return self._store.select(sql, parameters)


def again(run: Run, before_each: Callable[[], None]) -> Run:
    """The same ids, seen by another invocation."""
    other = Run(run.store)
    other.ids, other.epoch = run.ids, run.epoch
    other.store = WatchedStore(run.store, before_each)  # type: ignore[assignment]
    return other


# What came before, and the two that come at the same moment.
HISTORIES = {
    "the key that is being hidden turns out to be first": ([Sent(0, 0, 3)], Sent(0, 1, 2), Sent(0, 0, 1)),
    "a third key is first": ([Sent(0, 0, 3)], Sent(0, 1, 2), Sent(0, 2, 1)),
    "both revive what was hidden": ([Sent(0, 0, 3), Sent(0, 1, 4), Sent(0, None, 5)], Sent(0, 1, 2), Sent(0, 0, 1)),
}


def happens_within(store: ClickHouseEventStore, name: str, step: int, *, merges: bool = False) -> bool:
    """Deliver the second as a whole before statement number `step` of the first; False if there is none."""
    before, first, second = HISTORIES[name]
    history = list(enumerate([*before, first, second]))
    empty_tables(store)
    run = Run(store)
    run.deliver(history[:-2])
    left = step

    def count() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            run.deliver(history[-1:])
            if merges:
                run.merge()

    again(run, count).deliver(history[-2:-1])
    if left >= 0:
        return False
    run.assert_survivor(0, history)
    return True


@pytest.mark.parametrize("step", range(3, 8))  # between the first's decision and its last tombstone
def test_one_event_counts_though_another_settles_it_between_decision_and_tombstone(
    store: ClickHouseEventStore, step: int
) -> None:
    assert happens_within(store, "the key that is being hidden turns out to be first", step)


def test_embeddings_that_come_back_after_another_hid_them_are_hidden_again(store: ClickHouseEventStore) -> None:
    assert happens_within(store, "both revive what was hidden", 9)  # after the first took the event's tombstone away


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("name", HISTORIES)
def test_one_event_counts_wherever_another_settles_it_long(
    store: ClickHouseEventStore, name: str, merges: bool
) -> None:
    steps = 0
    while steps < STEPS_MAX and happens_within(store, name, steps, merges=merges):
        steps += 1

    assert 10 < steps < STEPS_MAX


class Turns:
    """Lets one of several actors go on at a time, in a given order; who is done is passed over."""

    def __init__(self, actors: int, order: Sequence[int]) -> None:
        self._condition = threading.Condition()
        self._active = set(range(actors))
        self._order = list(order)

    def wait(self, actor: int) -> None:
        with self._condition:
            while self._next() not in (None, actor):
                self._condition.wait()
            if self._order:
                self._order.pop(0)
            self._condition.notify_all()

    def leave(self, actor: int) -> None:
        with self._condition:
            self._active.discard(actor)
            self._condition.notify_all()

    def _next(self) -> int | None:
        while self._order and self._order[0] not in self._active:
            self._order.pop(0)
        return self._order[0] if self._order else None


CREATES = st.builds(Sent, st.just(0), st.integers(0, len(PLACES) - 1), st.integers(1, 6))


def check(store: ClickHouseEventStore, before: list[Sent], at_once: list[Sent], order: list[int]) -> None:
    empty_tables(store)
    run = Run(store)
    history = list(enumerate([*before, *at_once]))
    for each in history[: len(before)]:
        run.deliver([each])
    turns = Turns(len(at_once), order)

    def deliver(actor: int) -> None:
        try:
            again(run, lambda: turns.wait(actor)).deliver([history[len(before) + actor]])
        finally:
            turns.leave(actor)

    with ThreadPoolExecutor(len(at_once)) as pool:
        list(pool.map(deliver, range(len(at_once))))
    fold_pending(store, ACCEPTED_US / 1_000_000, lambda: True)

    run.assert_survivor(0, history)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_event_counts_whatever_the_order_of_statements_long(
    store: ClickHouseEventStore, record_property: Record
) -> None:
    @settings(max_examples=ROUND, deadline=None, suppress_health_check=QUIET)
    @given(
        before=st.lists(st.one_of(CREATES, st.just(Sent(0, None, 7))), max_size=3),
        at_once=st.lists(CREATES, min_size=2, max_size=3),
        order=st.lists(st.integers(0, 2), max_size=STEPS_MAX),
    )
    def run_round(before: list[Sent], at_once: list[Sent], order: list[int]) -> None:
        check(store, before, at_once, order)

    for _ in cases_within(ROUNDS_MAX, f"rounds of {ROUND}", SECONDS_MAX, record_property):
        run_round()
