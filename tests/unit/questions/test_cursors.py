"""Where a page ended."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.errors import Refused
from event_analytics.questions.cursors import read_cursor, write_cursor
from event_analytics.windows import Window
from tests.unit.questions.asked import asked

BOUNDS = st.datetimes(datetime(1970, 1, 2), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
WINDOW = Window(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 8, 0, 0, 0, 1_000, tzinfo=UTC))


@given(BOUNDS, BOUNDS, st.integers(0, 2**41), st.uuids())
def test_a_cursor_gives_back_where_it_points(start: datetime, end: datetime, at_ms: int, identifier: UUID) -> None:
    window = Window(*(bound.replace(microsecond=bound.microsecond // 1_000 * 1_000) for bound in (start, end)))

    cursor = read_cursor(write_cursor(b"question", window, at_ms, identifier), b"question")

    assert (cursor.window(), cursor.timestamp_ms, cursor.id) == (window, at_ms, identifier)


@pytest.mark.parametrize("text", ["", "x", "ü", "AAAA", "MS8y", "' OR 1=1", "a" * 3_000])
def test_refuses_a_cursor_that_is_not_ours(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_cursor(text, b"question")

    assert str(refused.value.reason) == "cursor_invalid"


def test_refuses_a_cursor_of_times_that_cannot_be() -> None:
    with pytest.raises(Refused) as refused:
        read_cursor(write_cursor(b"question", None, 2**60, UUID(int=1)), b"question")

    assert str(refused.value.reason) == "cursor_invalid"


@pytest.mark.parametrize(
    "other",
    [
        {"order": "asc"},
        {"event_name": "e"},
        {"window": "7d"},
        {"properties__a": ["ne:1", "ne:2"]},
        {"has_error": "true"},
    ],
)
def test_a_cursor_answers_no_other_question(other: dict[str, object]) -> None:
    cursor = write_cursor(asked("events", window="1h").fingerprint, WINDOW, 1, UUID(int=1))

    with pytest.raises(Refused) as refused:
        asked("events", **{"window": "1h", **other}, cursor=cursor)

    assert str(refused.value.reason) == "cursor_invalid"


def test_a_cursor_of_one_conversation_is_none_of_another() -> None:
    cursor = write_cursor(asked("conversation-events", {"id": "c1"}).fingerprint, None, 1, UUID(int=1))

    assert asked("conversation-events", {"id": "c1"}, cursor=cursor).window is None
    with pytest.raises(Refused):
        asked("conversation-events", {"id": "c2"}, cursor=cursor)


def test_pages_may_differ_in_size_and_in_what_they_show_and_keep_the_first_window() -> None:
    cursor = write_cursor(asked("events", window="7d").fingerprint, WINDOW, 1, UUID(int=1))

    request = asked("events", window="7d", limit=7, include="input", cursor=cursor)

    assert request.window == WINDOW
