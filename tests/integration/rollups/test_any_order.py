"""Any order of creates, late events, changes, deletes, conflicts, deaths, merges and counts: answers stay exact.

Over the real engine, through the load function's own door. Whatever happens may happen before any statement of
something else. While a batch that died is not delivered again nothing is asked: nobody has been told that it is in.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random, SystemRandom
from typing import Any

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.errors import StoreUnavailable
from event_analytics.folding import fold_pending
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.rollup import ROLLUPS
from event_analytics.rollup_building import clear_superseded, mend_rollups
from tests.integration.rollups.day import Day, Meanwhile, die
from tests.long_forms import Record, cases_within

IDS = 4  # the newest, of which one is changed or sent again
HOURS_HIT = 3  # of the day: the fewer, the more often one is counted and written to at the same time
LOAD_STEPS, BUILD_STEPS = 16, 9  # before which of the first statements something else happens
CHECKS_KNOWN = 3  # as many answers go by what was found to hold before
# Of the long form. A story of 60 steps takes 14 s on one core: 900 statements, a third of them for answers.
STORIES_MAX, STEPS = 24, 60
SECONDS_MAX = 300.0  # no story begins after it
SEED_BITS = 32  # enough that no two runs tell the same stories
TABLES = ("events", "hour_marks", "rollup_generations", *(rollup.table for rollup in ROLLUPS))


class Story:
    """One day and what happens in it by chance, compared after every event unless a delivery is owed."""

    def __init__(self, store: ClickHouseEventStore, seed: int) -> None:
        self.store = store
        self.chance = Random(seed)
        self.day = Day(store)
        self.ids: list[uuid.UUID] = []
        self.owed: list[list[KafkaRecord]] = []
        self.told: list[str] = []
        self.checks = 0
        self.happenings: dict[Callable[[], None], int] = {
            self.deliver: 4, self.deliver_and_die: 2, self.deliver_while_hours_are_counted: 3, self.deliver_again: 1,
            self.count_hours: 4, self.count_while_something_comes: 3, self.count_while_another_counts: 1,
            self.count_and_die: 1, self.fold: 1, self.fold_and_die: 1, self.clear: 1, self.merge: 1,
        }  # fmt: skip

    def run(self, steps: int) -> None:
        for _ in range(steps):
            (happens,) = self.chance.choices(list(self.happenings), list(self.happenings.values()))
            self.told.append(happens.__name__)
            happens()
            if self.owed and self.chance.random() < 0.7:
                self.deliver_what_died()
            self.check()
        self.deliver_what_died()
        self.fold()
        self.count_hours()
        self.check(windows=3)
        assert self.day.torn_answers == 0

    def check(self, windows: int = 1) -> None:
        if not self.owed:
            if self.checks % CHECKS_KNOWN == 0:
                self.day.let_time_pass()
            self.checks += 1
            try:
                self.day.assert_exact(windows)
            except AssertionError as error:
                raise AssertionError(f"after {self.told}") from error

    def some(self) -> list[KafkaRecord]:
        return [self.one() for _ in range(self.chance.randint(1, 3))]

    def one(self) -> KafkaRecord:
        """A new event, or one of the last few again: deleted, changed, or in another hour and accepted before."""
        hour = self.chance.randrange(HOURS_HIT)
        match self.chance.randrange(5) if self.ids else 0:
            case 0 | 1 | 2:
                self.ids.append(uuid.UUID(int=self.chance.getrandbits(128), version=4))
                return self.day.create(self.ids[-1], self.chance.choice(["a", "b", ""]), hour)
            case 3:
                return self.day.change(self.chance.choice(self.ids[-IDS:]), is_deleted=self.chance.random() < 0.8)
            case _:
                known, earlier = self.chance.choice(self.ids[-IDS:]), self.chance.choice([0, 9, 99])
                return self.day.create(known, self.chance.choice("ab"), hour, earlier)

    def meanwhile(self, happens: Callable[[], object], steps: int) -> Any:
        return Meanwhile(self.store, self.chance.randrange(steps), happens)

    def deliver(self) -> None:
        self.day.deliver(self.some())

    def deliver_and_die(self) -> None:
        records = self.some()
        try:
            self.day.deliver(records, self.meanwhile(die, LOAD_STEPS))
        except StoreUnavailable:
            self.owed.append(records)
            if self.chance.random() < 0.5:
                self.day.build()

    def deliver_what_died(self) -> None:
        for records in self.owed:
            self.day.deliver(records)
        self.owed = []

    def deliver_while_hours_are_counted(self) -> None:
        self.day.deliver(self.some(), self.meanwhile(self.day.build, LOAD_STEPS))

    def deliver_again(self) -> None:
        if self.day.sent and not self.owed:
            self.day.deliver(self.chance.choices(self.day.sent, k=3))

    def count_hours(self) -> None:
        self.day.build()

    def count_while_something_comes(self) -> None:
        self.day.build(self.meanwhile(self.deliver, BUILD_STEPS))

    def count_while_another_counts(self) -> None:
        self.deliver()
        self.day.build(self.meanwhile(lambda: (self.day.build(), self.check()), BUILD_STEPS))

    def count_and_die(self) -> None:
        self.deliver()
        with suppress(StoreUnavailable):
            self.day.build(self.meanwhile(die, BUILD_STEPS))

    def fold(self) -> None:
        fold_pending(self.store, self.day.start.timestamp(), lambda: True)

    def fold_and_die(self) -> None:
        with suppress(StoreUnavailable):
            fold_pending(self.meanwhile(die, BUILD_STEPS), self.day.start.timestamp(), lambda: True)
        self.day.build()

    def clear(self) -> None:
        clear_superseded(self.store, 0)
        mend_rollups(self.store)

    def merge(self) -> None:
        self.store.command(f"OPTIMIZE TABLE {self.chance.choice(TABLES)} FINAL")


@pytest.mark.timeout(300)
def test_answers_are_exact_in_any_order_of_writes_and_counts(store: ClickHouseEventStore) -> None:
    stories = [Story(store, seed) for seed in range(3)]
    for story in stories:
        story.run(steps=25)

    assert all(story.day.whole_answers > 20 for story in stories)
    told = sum((story.day.told for story in stories), Counter())
    assert told[True] > 20, "what was kept held often enough"
    assert told[False] > 10, "and often enough it did not any more"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_answers_are_exact_in_any_order_of_writes_and_counts_long(
    store: ClickHouseEventStore, record_property: Record
) -> None:
    for _ in cases_within(STORIES_MAX, f"stories of {STEPS} steps", SECONDS_MAX, record_property):
        seed = SystemRandom().getrandbits(SEED_BITS)
        try:
            Story(store, seed).run(STEPS)
        except Exception as error:
            error.add_note(f"again: Story(store, seed={seed}).run(steps={STEPS})")
            raise
