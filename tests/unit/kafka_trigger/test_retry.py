"""Every transition of the state machine that says what comes after an invocation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.kafka_trigger.retry import (
    Condition,
    GivenUp,
    Outcome,
    Piece,
    Rules,
    Step,
    Verdict,
    decide,
    expire,
    read_failures,
    settled_offsets,
)

from .trigger_batches import make_batch, offsets_of

DONE = Outcome(Verdict.SUCCEEDED, b"null")
RAISED = Outcome(Verdict.FUNCTION_ERROR, b"{}", "ValueError", function_error="Unhandled")
THROTTLED = Outcome(Verdict.THROTTLED)
AWAY = Outcome(Verdict.UNREACHABLE)
TWO = {0: [5], 1: [7]}
REPORTING = Rules(reports_items=True)


def failures(*items: Any) -> Outcome:
    return Outcome(Verdict.SUCCEEDED, json.dumps({"batchItemFailures": list(items)}).encode())


def item(partition: int, offset: int) -> dict[str, Any]:
    return {"itemIdentifier": {"partition": f"t-{partition}", "offset": offset}}


ONE_BAD = failures(item(1, 7))


def shorten(steps: list[Step]) -> list[tuple[Any, ...]]:
    """Piece -> (offsets, retries); given up -> (offsets, condition)."""
    return [
        (offsets_of(step.batch), step.retries if isinstance(step, Piece) else step.condition.value) for step in steps
    ]


@pytest.mark.parametrize(
    ("rules", "retries", "outcome", "expected"),
    [
        # success ends it, whatever the rules
        (Rules(), 0, DONE, []),
        (Rules(retries_max=0, bisects=True), 3, DONE, []),
        (REPORTING, 0, DONE, []),
        # no limit: the whole batch again, for ever
        (Rules(), 0, RAISED, [(TWO, 1)]),
        (Rules(), 10_000, RAISED, [(TWO, 10_001)]),
        # a limit of N: given up after the first try and N more
        (Rules(retries_max=0), 0, RAISED, [(TWO, "RetryAttemptsExhausted")]),
        (Rules(retries_max=2), 1, RAISED, [(TWO, 2)]),
        (Rules(retries_max=2), 2, RAISED, [(TWO, "RetryAttemptsExhausted")]),
        # bisecting: halves in order, and it costs no retry
        (Rules(bisects=True), 0, RAISED, [({0: [5]}, 0), ({1: [7]}, 0)]),
        (Rules(retries_max=0, bisects=True), 0, RAISED, [({0: [5]}, 0), ({1: [7]}, 0)]),
        # who throttles or is away says nothing of the records
        (Rules(retries_max=0, bisects=True), 0, THROTTLED, [(TWO, 0)]),
        (Rules(retries_max=0, bisects=True), 0, AWAY, [(TWO, 0)]),
        # partial failures: those records only
        (REPORTING, 0, ONE_BAD, [({1: [7]}, 1)]),
        (Rules(), 0, ONE_BAD, []),
        (Rules(retries_max=1, reports_items=True), 1, ONE_BAD, [({1: [7]}, "RetryAttemptsExhausted")]),
        (Rules(bisects=True, reports_items=True), 0, ONE_BAD, [({1: [7]}, 1)]),
        # an unintelligible report fails the whole batch
        (REPORTING, 0, failures(item(1, 8)), [(TWO, 1)]),
        (REPORTING, 0, RAISED, [(TWO, 1)]),
    ],
)
def test_what_comes_after_an_invocation(
    rules: Rules, retries: int, outcome: Outcome, expected: list[tuple[Any, ...]]
) -> None:
    steps = decide(rules, "t", Piece(make_batch(TWO), retries, invokes=4), outcome)

    assert shorten(steps) == expected
    assert all(step.invokes == 5 for step in steps)


def test_single_record_is_not_split_but_retried() -> None:
    rules = Rules(retries_max=1, bisects=True)

    assert shorten(decide(rules, "t", Piece(make_batch({0: [5]})), RAISED)) == [({0: [5]}, 1)]
    assert shorten(decide(rules, "t", Piece(make_batch({0: [5]}), 1), RAISED)) == [({0: [5]}, "RetryAttemptsExhausted")]


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"{}", b"[]", b'"text"', b"7"])
def test_answer_without_failures_is_success(body: bytes) -> None:
    assert read_failures("t", make_batch(TWO), body).count == 0


@pytest.mark.parametrize("items", [None, []])
def test_empty_list_of_failures_is_success(items: Any) -> None:
    assert read_failures("t", make_batch(TWO), json.dumps({"batchItemFailures": items}).encode()).count == 0


@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        b'{"batchItemFailures":7}',
        b'{"batchItemFailures":[null]}',
        b'{"batchItemFailures":[{"itemIdentifier":""}]}',
        b'{"batchItemFailures":[{"itemIdentifier":"t-1-7"}]}',
        b'{"batchItemFailures":[{"itemidentifier":{"partition":"t-1","offset":7}}]}',
        b'{"batchItemFailures":[{"itemIdentifier":{"partition":1,"offset":7}}]}',
        b'{"batchItemFailures":[{"itemIdentifier":{"partition":"t-1","offset":"7"}}]}',
        b'{"batchItemFailures":[{"itemIdentifier":{"partition":"t-1","offset":true}}]}',
        b'{"batchItemFailures":[{"itemIdentifier":{"partition":"t-9","offset":7}}]}',
        b'{"batchItemFailures":[{"itemIdentifier":{"partition":"t-1","offset":7}},{"itemIdentifier":{}}]}',
    ],
)
def test_report_that_cannot_be_followed_fails_the_whole_batch(body: bytes) -> None:
    assert offsets_of(read_failures("t", make_batch(TWO), body)) == TWO


def test_records_past_their_age_are_given_up_unsent_and_the_others_go_on() -> None:
    batch = make_batch({0: [1, 2, 3], 1: [9]})  # timestamps 1001, 1002, 1003, 1009
    steps = expire(Rules(age_ms_max=1000), Piece(batch, 2, 3), now_ms=2003)

    assert shorten(steps) == [({0: [1, 2]}, "RecordAgeExceeded"), ({0: [3], 1: [9]}, 2)]
    assert [step.invokes for step in steps] == [3, 3]


@pytest.mark.parametrize(
    ("age", "now_ms", "kinds"), [(None, 10**9, [Piece]), (1000, 1001, [Piece]), (1, 10**9, [GivenUp])]
)
def test_age_matters_only_where_it_is_set(age: int | None, now_ms: int, kinds: list[type]) -> None:
    steps = expire(Rules(age_ms_max=age), Piece(make_batch(TWO)), now_ms)

    assert [type(step) for step in steps] == kinds


def test_record_without_a_timestamp_has_no_age() -> None:
    batch = make_batch({0: [1]})
    batch.slices[0].timestamps[0] = -1

    assert shorten(expire(Rules(age_ms_max=1000), Piece(batch), 10**12)) == [({0: [1]}, 0)]


def test_what_is_settled_never_passes_a_record_that_is_left() -> None:
    batch = make_batch({0: [1, 2, 3], 1: [7, 8]})
    left: list[Step] = [Piece(make_batch({0: [3]})), GivenUp(make_batch({0: [2]}), Condition.TOO_OLD)]

    assert settled_offsets(batch, []) == {0: (0, 4), 1: (0, 9)}
    assert settled_offsets(batch, left) == {0: (0, 2), 1: (0, 9)}


batches = st.dictionaries(
    st.integers(0, 3), st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True).map(sorted), min_size=1
).map(make_batch)


@given(batches, st.sets(st.tuples(st.integers(0, 3), st.integers(0, 50))), st.integers(0, 3))
def test_bisecting_sends_every_good_record_once_successfully_and_gives_up_the_bad_alone(
    batch: Any, bad: set[tuple[int, int]], retries_max: int
) -> None:
    rules = Rules(retries_max=retries_max, bisects=True)
    everything = [(part.partition, offset) for part in batch.slices for offset in part.offsets]
    steps: list[Step] = [Piece(batch)]
    accepted, given_up, tries = [], [], dict.fromkeys(everything, 0)
    while steps:
        step = steps.pop(0)
        held = [(part.partition, offset) for part in step.batch.slices for offset in part.offsets]
        if isinstance(step, GivenUp):
            given_up += held
            continue
        if step.batch.count == 1:
            tries[held[0]] += 1
        fails = bool(bad.intersection(held))
        accepted += [] if fails else held
        steps[:0] = decide(rules, "t", step, RAISED if fails else DONE)

    assert accepted == [place for place in everything if place not in bad]
    assert given_up == [place for place in everything if place in bad]
    assert all(tries[place] == 1 + retries_max for place in given_up)
