"""Where top users, errors and top conversations come from: a rollup if it can answer and is whole, else the events."""

from typing import Any

import msgspec
import pytest

from event_analytics.held_hours import HeldByWindow
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Query
from event_analytics.rollup_query import FEW_HOURS_MAX, ROLLED_UP_HOURS_MIN
from tests.unit.questions.asked import PreparedSelect, asked

SHORT = f"{ROLLED_UP_HOURS_MIN * 60 - 1}m"
NOT_WHOLE: dict[str, Any] = {"is_whole": 0}
CONVERSATION = {"conversation_id": "c1", "events": 4, "errors": 1, "error_rate": 0.25, "p95_ms": 9.0, "started_ms": 0,
                "ended_ms": 1}  # fmt: skip
TABLES = {"top-users": "user_hours", "errors": "event_name_hours", "top-conversations": "conversation_hours"}
# What the rollup answers, and what comes of it.
ROLLED_UP: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "top-users": (
        {"user_id": "u1", "events": 3, "events_total": 3, "keys_total": 1},
        {"rows": [{"user_id": "u1", "events": 3}], "totals": {"events_total": 3, "users_total": 1}},
    ),
    "errors": (
        {"event_name": "search", "events": 4, "errors": 1, "events_total": 9, "errors_total": 1, "keys_total": 2},
        {"rows": [{"event_name": "search", "events": 4, "errors": 1, "error_rate": 0.25}],
         "totals": {"events_total": 9, "errors_total": 1}},
    ),
    "top-conversations": (
        CONVERSATION,
        {"rows": [{"conversation_id": "c1", "events": 4, "errors": 1, "error_rate": 0.25, "p95_ms": 9.0,
                   "started_at": "1970-01-01T00:00:00.000Z", "ended_at": "1970-01-01T00:00:00.001Z"}], "totals": {}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("question", TABLES)
def test_a_rollup_that_is_whole_answers(question: str) -> None:
    rolled_up, expected = ROLLED_UP[question]
    select = PreparedSelect([{"is_whole": 1, **rolled_up}])

    found = BY_NAME[question].answer(asked(question), select)

    assert {"rows": msgspec.to_builtins(found.rows), "totals": found.totals} == expected
    assert [TABLES[question] in query.sql for query in select.queries] == [True]


@pytest.mark.parametrize("question", TABLES)
def test_one_that_is_not_is_left_aside(question: str) -> None:
    select = PreparedSelect([NOT_WHOLE], [])

    found = BY_NAME[question].answer(asked(question), select)

    assert not found.rows
    assert not any(found.totals.values())
    assert [TABLES[question] in query.sql for query in select.queries] == [True, False]


FOUND = [{"starts_at": 0, "generation": "g", "events": 3, "marks": 1, "digest": 5}]


def kind_of(query: Query) -> str:
    """Which statement of a question it is."""
    if "FINAL" not in query.sql:
        return "find out what holds"
    if "_hours " not in query.sql:
        return "count events"
    return "told what holds" if "held_marks" in query.parameters else "find out and answer"


@pytest.mark.parametrize("question", TABLES)
def test_what_holds_is_found_out_once_and_told_from_then_on(question: str) -> None:
    rolled_up, _ = ROLLED_UP[question]
    whole = {"is_whole": 1, **rolled_up}
    select = PreparedSelect(FOUND, [whole], [whole], held=HeldByWindow(lambda: 0.0))

    answers = [BY_NAME[question].answer(asked(question, window="24h"), select) for _ in range(2)]

    assert answers[0] == answers[1]
    assert [kind_of(query) for query in select.queries] == ["find out what holds", "told what holds", "told what holds"]


@pytest.mark.parametrize("question", TABLES)
def test_where_it_does_not_hold_any_more_the_statement_finds_out_itself(question: str) -> None:
    whole = {"is_whole": 1, **ROLLED_UP[question][0]}
    select = PreparedSelect(FOUND, [NOT_WHOLE], [whole], [whole], held=HeldByWindow(lambda: 0.0))

    for _ in range(2):
        BY_NAME[question].answer(asked(question, window="24h"), select)

    kinds = [kind_of(query) for query in select.queries]
    assert kinds == ["find out what holds", "told what holds", "find out and answer", "find out and answer"]


@pytest.mark.parametrize("question", TABLES)
def test_where_nothing_may_be_shown_what_holds_stays_known(question: str) -> None:
    whole = {"is_whole": 1, **ROLLED_UP[question][0]}
    select = PreparedSelect(FOUND, [], [], [whole], held=HeldByWindow(lambda: 0.0))

    for _ in range(2):
        BY_NAME[question].answer(asked(question, window="24h"), select)

    kinds = [kind_of(query) for query in select.queries]
    assert kinds == ["find out what holds", "told what holds", "count events", "told what holds"]


@pytest.mark.parametrize(
    ("window", "found", "kinds"),
    [
        (f"{FEW_HOURS_MAX + 2}h", FOUND, ["find out and answer"]),
        ("24h", [], ["find out what holds", "find out and answer"]),  # nothing to tell
    ],
)
def test_long_windows_and_empty_ones_are_not_told(window: str, found: list[dict[str, Any]], kinds: list[str]) -> None:
    whole = {"is_whole": 1, **ROLLED_UP["top-users"][0]}
    answers = [found, [whole]] if len(kinds) > 1 else [[whole]]
    select = PreparedSelect(*answers, held=HeldByWindow(lambda: 0.0))

    BY_NAME["top-users"].answer(asked("top-users", window=window), select)

    assert [kind_of(query) for query in select.queries] == kinds


def test_a_count_of_users_event_by_event_has_its_totals_in_every_row() -> None:
    counted = {"user_id": "u2", "events": 5, "events_total": 5, "keys_total": 1}

    found = BY_NAME["top-users"].answer(asked("top-users"), PreparedSelect([NOT_WHOLE], [counted]))

    assert msgspec.to_builtins(found.rows) == [{"user_id": "u2", "events": 5}]
    assert found.totals == {"events_total": 5, "users_total": 1}


@pytest.mark.parametrize("question", TABLES)
@pytest.mark.parametrize(
    "query",
    [{"window": SHORT}, {"user_id": "u"}, {"conversation_id": "c"}, {"has_error": "false"}, {"properties__a": "1"}],
    ids=str,
)
def test_filters_and_short_windows_are_counted_event_by_event(question: str, query: dict[str, str]) -> None:
    compiled = BY_NAME[question].compile(asked(question, **query))

    assert "_hours " not in compiled.sql


@pytest.mark.parametrize(
    ("question", "query", "is_rolled_up"),
    [
        ("top-users", {"event_name": "e"}, False),
        ("errors", {"event_name": "e"}, True),
        ("errors", {"event_name": "e", "user_id": "u"}, False),
        ("errors", {"by": "error"}, False),
        ("top-conversations", {"event_name": "e"}, False),
        ("top-conversations", {"by": "errors"}, True),
        ("top-conversations", {"by": "events"}, True),
        ("top-conversations", {"by": "latency"}, False),
    ],
    ids=str,
)
def test_what_a_rollup_can_answer_it_answers(question: str, query: dict[str, str], is_rolled_up: bool) -> None:
    compiled = BY_NAME[question].compile(asked(question, **query))

    assert (TABLES[question] in compiled.sql) is is_rolled_up
    assert set(query) - {"by"} <= set(compiled.parameters)
