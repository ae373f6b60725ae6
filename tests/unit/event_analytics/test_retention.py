"""How long data is kept, and that answers do not depend on when ClickHouse removes it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.errors import Refused
from event_analytics.retention import (
    Retention,
    RetentionRefused,
    check_retention,
    clip_window,
    compile_ttls,
    floor_of,
    ttls_of,
)
from event_analytics.windows import Window

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)  # a Sunday
MONDAY = datetime(2026, 11, 9, tzinfo=UTC)
INSTANTS = st.integers(-1_000_000_000, 1_000_000_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
KEPT = Retention(events_days=10, embeddings_days=3, changes_days=30, archive_days=30)


@pytest.mark.parametrize(
    "retention",
    [
        Retention(),
        KEPT,
        Retention(events_days=10),
        Retention(events_days=10, changes_days=10, archive_days=10),
        Retention(events_days=10, archive_days=30, changes_days=0),
    ],
)
def test_numbers_that_agree_are_taken(retention: Retention) -> None:
    assert check_retention(retention) == retention


@pytest.mark.parametrize(
    "retention",
    [
        Retention(changes_days=30),
        Retention(events_days=10, changes_days=9, archive_days=9),
        Retention(events_days=10, changes_days=20, archive_days=30),
        Retention(events_days=10, changes_days=10),
    ],
)
def test_changes_are_never_kept_for_less_than_what_they_change(retention: Retention) -> None:
    with pytest.raises(RetentionRefused, match="replayed would undo its changes"):
        check_retention(retention)


def test_events_end_with_the_week_whose_last_event_is_old_enough() -> None:
    assert floor_of(NOW, 10) == MONDAY
    assert floor_of(MONDAY + timedelta(days=10), 10) == MONDAY
    assert floor_of(MONDAY + timedelta(days=10, seconds=-1), 10) == MONDAY - timedelta(days=7)
    assert floor_of(NOW, 0) is None


@given(INSTANTS, st.integers(1, 4000))
def test_no_event_is_given_up_before_its_days_nor_a_week_after_them(instant: datetime, days: int) -> None:
    floor = floor_of(instant, days)

    assert floor is not None
    assert floor.weekday() == 0
    assert timedelta(0) <= instant - timedelta(days=days) - floor < timedelta(days=7)


@given(INSTANTS, st.integers(1, 4000))
def test_clickhouse_removes_nothing_that_is_still_answered_for(instant: datetime, days: int) -> None:
    """The TTL of an event at the floor: its week's Monday, the week, and the days."""
    floor = floor_of(instant, days)

    assert floor is not None
    assert ttls_of(Retention(events_days=days))["events"] == (
        f"toDateTime(toMonday(timestamp), 'UTC') + toIntervalDay({days + 7})"
    )
    assert floor + timedelta(days=days + 7) > instant


def test_a_window_begins_no_earlier_than_what_is_kept() -> None:
    wide = Window(MONDAY - timedelta(days=30), NOW)
    inside = Window(MONDAY, NOW)

    assert clip_window(wide, MONDAY) == inside
    assert clip_window(inside, MONDAY) == inside
    assert clip_window(wide, None) == wide
    assert clip_window(None, MONDAY) is None


def test_a_window_of_which_nothing_is_kept_is_refused_and_says_what_is() -> None:
    with pytest.raises(Refused, match=r"before 2026-11-09T00:00:00\.000Z are not kept"):
        clip_window(Window(MONDAY - timedelta(days=9), MONDAY), MONDAY)


def test_embeddings_go_with_their_events_or_before() -> None:
    assert "(17)" in ttls_of(Retention(events_days=10))["event_embeddings"]
    assert "(10)" in ttls_of(KEPT)["event_embeddings"]
    assert "(17)" in ttls_of(KEPT._replace(embeddings_days=99))["event_embeddings"]


def test_counts_outlive_what_they_count() -> None:
    assert "(25)" in ttls_of(KEPT)["user_hours"]


def test_tables_that_forget_as_they_should_are_left_alone() -> None:
    ttl = ttls_of(KEPT)["events"]
    tables = {"events": f"CREATE TABLE events (...) ENGINE = X ORDER BY a TTL {ttl} SETTINGS b = 1"}

    assert compile_ttls(KEPT, tables) == []
    assert compile_ttls(Retention(), {"events": "CREATE TABLE events (...) ENGINE = X ORDER BY a"}) == []
    assert compile_ttls(Retention(), tables) == ["ALTER TABLE events REMOVE TTL"]
    assert compile_ttls(KEPT._replace(events_days=11), tables)[-1].endswith("toIntervalDay(18)")
