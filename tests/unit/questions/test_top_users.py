"""Where top users come from: the rollup if it can answer and is whole, else a count of events."""

import msgspec
import pytest

from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.top_users import ROLLED_UP_HOURS_MIN
from tests.unit.questions.asked import PreparedSelect, asked

FRAME = {"user_id": "", "events": 0, "events_total": 3, "users_total": 1, "is_whole": 1}
USER = {**FRAME, "user_id": "u1", "events": 3}
SHORT = f"{ROLLED_UP_HOURS_MIN * 60 - 1}m"


def test_a_rollup_that_is_whole_answers() -> None:
    select = PreparedSelect([FRAME, USER])

    found = BY_NAME["top-users"].answer(asked("top-users"), select)

    assert msgspec.to_builtins(found.rows) == [{"user_id": "u1", "events": 3}]
    assert found.totals == {"events_total": 3, "users_total": 1}
    assert ["user_hours" in query.sql for query in select.queries] == [True]


@pytest.mark.parametrize("rolled_up", [[{**FRAME, "is_whole": 0}, {**USER, "is_whole": 0}], []])
def test_one_that_is_not_is_left_aside(rolled_up: list[dict[str, object]]) -> None:
    counted = {"user_id": "u2", "events": 5, "events_total": 5, "users_total": 1}
    select = PreparedSelect(rolled_up, [counted])

    found = BY_NAME["top-users"].answer(asked("top-users"), select)

    assert msgspec.to_builtins(found.rows) == [{"user_id": "u2", "events": 5}]
    assert ["user_hours" in query.sql for query in select.queries] == [True, False]


@pytest.mark.parametrize(
    "query",
    [{"window": SHORT}, {"user_id": "u"}, {"event_name": "e"}, {"has_error": "false"}, {"properties__a": "1"}],
    ids=str,
)
def test_filters_and_short_windows_are_counted_event_by_event(query: dict[str, str]) -> None:
    compiled = BY_NAME["top-users"].compile(asked("top-users", **query))

    assert "user_hours" not in compiled.sql
