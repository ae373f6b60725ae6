"""A deploy's set-up: what is done, in which order, and what stops it before anything is done."""

import pytest

from event_analytics.observability import InvocationLine
from event_analytics.retention import Retention, RetentionRefused
from event_analytics.topics import plan_topics, topics_of
from functions.setup.app import MIGRATIONS, Deps, handle
from local_runtime.settings import REPOSITORY


class Setup:
    """The function with recorders around it."""

    def __init__(self, retention: Retention = Retention()) -> None:  # noqa: B008 - immutable
        self.done: list[str] = []
        self.deps = Deps(
            topics=topics_of(8, 168),
            retention=retention,
            settle_topics=lambda topics: self._did("topics") or plan_topics(tuple(topics), {}),
            migrate=lambda report: self._did("tables") or report("0001_first") or 1,
            apply_retention=lambda given: self._did("retention") or [f"TTL {given.events_days}"],
        )

    def _did(self, what: str) -> None:
        self.done.append(what)


def test_topics_tables_and_retention_are_settled_in_this_order_and_told() -> None:
    setup, line = Setup(Retention(events_days=10)), InvocationLine()

    told = handle(setup.deps, line)

    assert setup.done == ["topics", "tables", "retention"]
    assert told == {
        "topics_created": ["events", "event-changes", "events-replay", "dead-letters"],
        "topics_altered": [],
        "topics_unlike": {},
        "migrations": ["0001_first"],
        "retention": ["TTL 10"],
    }
    assert line.fields["migrations"] == ["0001_first"]


def test_days_that_contradict_each_other_stop_it_before_anything_is_done() -> None:
    setup = Setup(Retention(events_days=10, changes_days=5))

    with pytest.raises(RetentionRefused):
        handle(setup.deps, InvocationLine())

    assert setup.done == []


def test_the_function_ships_every_migration() -> None:
    shipped = {path.name for path in MIGRATIONS.glob("*.sql")}

    assert shipped == {path.name for path in (REPOSITORY / "schema" / "migrations").glob("*.sql")}
