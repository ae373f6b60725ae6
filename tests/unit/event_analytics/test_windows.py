"""The time a report is about."""

from datetime import UTC, datetime, timedelta

import pytest

from event_analytics.errors import Refused
from event_analytics.windows import read_window

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ({}, NOW - timedelta(hours=24), NOW),
        ({"window": "7d"}, NOW - timedelta(days=7), NOW),
        ({"window": "90m"}, NOW - timedelta(minutes=90), NOW),
        ({"start": "2026-09-01T00:00:00Z"}, datetime(2026, 9, 1, tzinfo=UTC), NOW),
        (
            {"start": "2026-09-01T00:00:00Z", "end": "2026-09-02T02:00:00+02:00"},
            datetime(2026, 9, 1, tzinfo=UTC),
            datetime(2026, 9, 2, tzinfo=UTC),
        ),
        ({"start": "2026-09-01T02:00:00 02:00"}, datetime(2026, 9, 1, tzinfo=UTC), NOW),
    ],
)
def test_reads_a_half_open_window_in_utc(query: dict[str, str], start: datetime, end: datetime) -> None:
    assert read_window(query, NOW) == (start, end)


@pytest.mark.parametrize(
    "query",
    [
        {"window": "0h"},
        {"window": "7"},
        {"window": "-1d"},
        {"window": "1d; DROP TABLE events"},
        {"window": "9999999d"},
        {"window": "3660d"},
        {"window": "1d", "start": "2026-09-01T00:00:00Z"},
        {"end": "2026-09-01T00:00:00Z"},
        {"start": "2026-09-01"},
        {"start": "2026-09-01T00:00:00"},
        {"start": "2026-09-01T00:00:00Z", "end": "2026-09-01T00:00:00Z"},
        {"start": "2026-10-01T00:00:00Z"},
        {"start": "2016-09-01T00:00:00Z"},
        {"start": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_refuses_what_is_no_window(query: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        read_window(query, NOW)

    assert str(refused.value.reason) == "window_invalid"
