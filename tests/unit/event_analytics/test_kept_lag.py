"""Measurements of the lag, one after the other, in one object."""

import json

import pytest

from event_analytics.kept_lag import LAG_NAME, KeptLag, Lags, keep_lag, read_kept_lag
from tests.fakes import FakeObjectStore

MINUTE_MS = 60_000


def kept_after(*measured: Lags) -> KeptLag | None:
    """What is kept when these were measured a minute apart, from minute 1 on."""
    objects = FakeObjectStore()
    for minute, lags in enumerate(measured, 1):
        keep_lag(objects, lags, minute * MINUTE_MS)
    assert set(objects.objects) == ({LAG_NAME} if measured else set())
    return read_kept_lag(objects)


def test_the_newest_measurement_takes_the_place_of_the_one_before() -> None:
    assert kept_after() is None
    assert kept_after(Lags(5, 2, 100), Lags(0, 1, 105)) == KeptLag(2 * MINUTE_MS, 0, 1, 105)


@pytest.mark.parametrize(
    ("measured", "since_minute"),
    [
        ([Lags(5, 0, 100)], None),  # one alone does not tell
        ([Lags(5, 0, 100), Lags(6, 0, 100)], 1),
        ([Lags(5, 0, 100), Lags(6, 0, 100), Lags(6, 0, 100)], 1),
        ([Lags(5, 0, 100), Lags(6, 0, 101)], None),  # slow, and it goes on
        ([Lags(0, 0, 100), Lags(6, 0, 100)], None),  # idle until a moment ago
        ([Lags(5, 0, 100), Lags(0, 0, 100)], None),  # the topics began anew
        ([Lags(5, 0, 100), Lags(5, 0, 100), Lags(5, 0, 101), Lags(5, 0, 101)], 3),
        ([Lags(0, 9, 100), Lags(0, 9, 100)], None),  # archive stands, load does not
    ],
)
def test_it_says_since_when_records_wait_and_load_takes_none(measured: list[Lags], since_minute: int | None) -> None:
    kept = kept_after(*measured)

    assert kept is not None
    assert kept.load_stalled_ms == (None if since_minute is None else since_minute * MINUTE_MS)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"measured_ms": "x"}', b'{"\xff": 1}'])
def test_what_cannot_be_read_is_not_known_and_is_measured_anew(body: bytes) -> None:
    objects = FakeObjectStore()
    objects.put_new(LAG_NAME, body)
    assert read_kept_lag(objects) is None
    keep_lag(objects, Lags(1, 2, 3), 4)

    assert read_kept_lag(objects) == KeptLag(4, 1, 2, 3)


def test_members_that_a_later_version_adds_are_passed_over() -> None:
    objects = FakeObjectStore()
    later = {"measured_ms": 4, "load": 1, "archive": 2, "load_taken": 3, "more": []}
    objects.put_new(LAG_NAME, json.dumps(later).encode())

    assert read_kept_lag(objects) == KeptLag(4, 1, 2, 3)
