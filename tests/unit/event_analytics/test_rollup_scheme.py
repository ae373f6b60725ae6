"""The scheme of rollups as a model: every interleaving of two writers, two builders and a query over one hour.

A writer inserts, then marks. A builder reads the marks, counts what is there, commits. A query takes its snapshots of
the tables in an order of its own. Whatever was acknowledged before it began counts once, and nothing counts twice.
The scheme passes; each shortcut, tried for itself, does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest

WRITERS = (0, 1)
BUILDERS_MAX = 2
TABLES = ("commits", "marks", "rows", "events")


@dataclass(frozen=True)
class Scheme:
    """What is done, and which shortcuts are taken."""

    writer: tuple[str, ...] = ("insert", "mark")
    builder: tuple[str, ...] = ("read_marks", "count", "commit")
    are_rows_checked: bool = True
    is_judged_once: bool = True
    builders: int = 2
    is_order_free: bool = True  # of the tables' snapshots in a query; else they come in the order of TABLES


class Commit(NamedTuple):
    generation: int
    marks: frozenset[int]
    rows: int


class State(NamedTuple):
    """The tables, how far each writer and builder is, and what builders and the query hold."""

    events: frozenset[int] = frozenset()
    marks: frozenset[int] = frozenset()
    rows: tuple[tuple[int, frozenset[int]], ...] = ()
    commits: frozenset[Commit] = frozenset()
    writers: tuple[int, ...] = (0,) * len(WRITERS)
    builders: tuple[int, ...] = (0,) * BUILDERS_MAX
    held_marks: tuple[frozenset[int], ...] = (frozenset(),) * BUILDERS_MAX
    snapshots: tuple[tuple[str, object], ...] = ()
    acknowledged: frozenset[int] = frozenset()  # when the query began


def replaced(values: tuple, place: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:place], value, *values[place + 1 :])


def write(state: State, scheme: Scheme, writer: int) -> State:
    step = state.writers[writer]
    state = state._replace(writers=replaced(state.writers, writer, step + 1))
    match scheme.writer[step]:
        case "insert":
            return state._replace(events=state.events | {writer})
        case "mark":
            return state._replace(marks=state.marks | {writer})
        case "insert_and_die":  # delivered again, the next step finds that nothing is left to insert
            return state._replace(events=state.events | {writer})
        case _:
            return state


def build(state: State, scheme: Scheme, builder: int) -> State:
    step = state.builders[builder]
    state = state._replace(builders=replaced(state.builders, builder, step + 1))
    match scheme.builder[step]:
        case "read_marks":
            return state._replace(held_marks=replaced(state.held_marks, builder, state.marks))
        case "count":
            return state._replace(rows=(*state.rows, (builder, state.events)))
        case "commit":
            return state._replace(commits=state.commits | {Commit(builder, state.held_marks[builder], 1)})
        case _:
            raise AssertionError


def looks(state: State, scheme: Scheme) -> Iterator[State]:
    """The query's next snapshot: of any table that is left."""
    tables = TABLES if scheme.is_judged_once else (*TABLES, "commits_again", "marks_again")
    left = [name for name in tables if name not in dict(state.snapshots)]
    if not state.snapshots:
        done = {writer for writer in WRITERS if state.writers[writer] == len(scheme.writer)}
        state = state._replace(acknowledged=frozenset(done))
    for name in left if scheme.is_order_free else left[:1]:
        snapshot = (name, getattr(state, name.removesuffix("_again")))
        yield state._replace(snapshots=tuple(sorted((*state.snapshots, snapshot), key=lambda each: each[0])))


def held(commits: object, marks: object) -> Commit | None:
    assert isinstance(commits, frozenset)
    return next((commit for commit in sorted(commits) if commit.marks == marks), None)


def answer(state: State, scheme: Scheme) -> list[int]:
    seen = dict(state.snapshots)
    from_rollup = from_events = held(seen["commits"], seen["marks"])
    if not scheme.is_judged_once:
        from_events = held(seen["commits_again"], seen["marks_again"])
    counted: list[int] = []
    if from_rollup:
        assert isinstance(seen["rows"], tuple)
        found = [events for generation, events in seen["rows"] if generation == from_rollup.generation]
        if scheme.are_rows_checked and len(found) != from_rollup.rows:
            return sorted(state.events)
        counted += [event for events in found for event in events]
    if not from_events:
        assert isinstance(seen["events"], frozenset)
        counted += seen["events"]
    return sorted(counted)


def is_right(state: State, counted: list[int]) -> bool:
    return len(set(counted)) == len(counted) and state.acknowledged <= set(counted) <= state.events


def next_steps(done: tuple[int, ...], steps: int) -> Iterator[int]:
    """Who may go on. They are all alike: the second begins after the first."""
    for place, step in enumerate(done):
        if step < steps and (step or not place or done[place - 1]):
            yield place


def successors(state: State, scheme: Scheme) -> Iterator[State]:
    for writer in next_steps(state.writers, len(scheme.writer)):
        yield write(state, scheme, writer)
    for builder in next_steps(state.builders[: scheme.builders], len(scheme.builder)):
        yield build(state, scheme, builder)
    yield from looks(state, scheme)


def wrong_answer(scheme: Scheme) -> State | None:
    """A state in which a query answers wrongly; None if there is none."""
    known, waiting = {State()}, [State()]
    while waiting:
        state = waiting.pop()
        steps = set(successors(state, scheme))
        if len(state.snapshots) == len(TABLES) + 2 * (not scheme.is_judged_once):
            if not is_right(state, answer(state, scheme)):
                return state
            continue
        waiting += steps - known
        known |= steps
    return None


def test_no_interleaving_makes_an_answer_wrong() -> None:
    assert wrong_answer(Scheme()) is None


def test_nor_does_a_builder_whose_count_is_written_twice() -> None:
    assert wrong_answer(Scheme(builder=("read_marks", "count", "count", "commit"), builders=1)) is None


def test_nor_does_a_writer_that_dies_before_it_marks_and_is_called_again() -> None:
    assert wrong_answer(Scheme(writer=("insert_and_die", "insert", "mark"), builders=1)) is None


@pytest.mark.parametrize(
    "shortcut",
    [
        pytest.param(Scheme(writer=("mark", "insert")), id="marks before the rows are in"),
        pytest.param(Scheme(writer=("insert_and_die", "nothing_left")), id="marks only what it still had to write"),
        pytest.param(Scheme(builder=("count", "read_marks", "commit")), id="reads the marks after the events"),
        pytest.param(Scheme(builder=("read_marks", "commit", "count"), are_rows_checked=False), id="commits too early"),
        pytest.param(Scheme(are_rows_checked=False), id="trusts the order of snapshots"),
        pytest.param(
            Scheme(
                builder=("read_marks", "count", "count", "commit"), are_rows_checked=False, is_order_free=False
            ),
            id="the same generation twice",
        ),
        pytest.param(Scheme(is_judged_once=False, builders=1), id="each half of the answer judges for itself"),
    ],
)  # fmt: skip
def test_each_shortcut_makes_some_answer_wrong(shortcut: Scheme) -> None:
    assert wrong_answer(shortcut) is not None
