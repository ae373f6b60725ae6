"""What is told of the pipeline, from what its parts know."""

from datetime import UTC, datetime, timedelta

import pytest

from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, DeadLetterWriter, DeadRecord, hour_entry
from event_analytics.kept_lag import LAG_AGE_MAX, KeptLag
from event_analytics.pipeline_state import (
    COUNTED_MAX,
    ObjectsState,
    PipelineState,
    StoredState,
    describe_state,
    read_objects_state,
)
from event_analytics.redrive import Selection, plan_redrive, redrive, select_letters
from tests.builders import a_record
from tests.fakes import FakeEventLog, FakeObjectStore

NOW = datetime(2026, 9, 21, 12, 30, tzinfo=UTC)


def ms_of(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000)


def write_letter(objects: FakeObjectStore, offset: int, given_up: datetime) -> None:
    dead = DeadRecord(a_record(offset, value=b"{%d" % offset), "record_undecodable", "d")
    DeadLetterWriter(objects, FakeEventLog()).write([dead], "e1", ms_of(given_up))


def add_letters(objects: FakeObjectStore, count: int, given_up: datetime) -> None:
    """Many, by their names alone: of a topic whose name comes before all others."""
    for offset in range(count):
        name = f"{DEAD_LETTERS_PREFIX}topic=a/partition=000/epoch=e/{offset}-00000000.json"
        objects.put_new(name, b"{}")
        objects.put_new(hour_entry(name, ms_of(given_up)), b"")


def letters_at(objects: FakeObjectStore, now: datetime = NOW) -> int:
    return read_objects_state(objects, now).dead_letters_24h


@pytest.fixture
def objects() -> FakeObjectStore:
    return FakeObjectStore()


def test_new_letters_are_counted_whatever_lies_there_of_old(objects: FakeObjectStore) -> None:
    add_letters(objects, COUNTED_MAX + 1, NOW - timedelta(days=3))
    assert letters_at(objects) == 0
    write_letter(objects, 7, NOW)

    assert letters_at(objects) == 1


def test_letters_are_counted_up_to_a_number(objects: FakeObjectStore) -> None:
    add_letters(objects, COUNTED_MAX + 5, NOW)

    assert letters_at(objects) == COUNTED_MAX


@pytest.mark.parametrize(("age", "count"), [("23:59", 1), ("24:00", 1), ("24:30", 1), ("24:31", 0), ("48:00", 0)])
def test_a_letter_counts_for_a_day_and_what_is_left_of_its_hour(objects: FakeObjectStore, age: str, count: int) -> None:
    hours, minutes = map(int, age.split(":"))
    write_letter(objects, 7, NOW - timedelta(hours=hours, minutes=minutes))

    assert letters_at(objects) == count


def test_a_letter_that_is_written_again_in_another_hour_counts_once(objects: FakeObjectStore) -> None:
    for given_up in (NOW, NOW + timedelta(hours=1)):
        write_letter(objects, 7, given_up)

    assert letters_at(objects, NOW + timedelta(hours=1)) == 1


def test_a_letter_that_is_sent_again_counts_no_more(objects: FakeObjectStore) -> None:
    for offset in (7, 8):
        write_letter(objects, offset, NOW)
    steps = [plan_redrive(name, letter) for name, letter in select_letters(objects, Selection())]
    redrive(objects, FakeEventLog(), steps[:1])

    assert letters_at(objects) == 1


@pytest.mark.parametrize("dead_ms", [-1, 0, 2**63])
def test_a_letter_of_any_time_has_an_hour(dead_ms: int) -> None:
    assert hour_entry(f"{DEAD_LETTERS_PREFIX}topic=a/x.json", dead_ms).endswith("/topic=a/x.json")


def described(lag: KeptLag | None) -> PipelineState:
    return describe_state(NOW, StoredState(0, 0), ObjectsState(0, 0), lag)


def test_a_lag_is_told_with_its_time() -> None:
    measured = NOW - timedelta(seconds=50)
    state = described(KeptLag(ms_of(measured), 7, 2, 100, ms_of(NOW - timedelta(minutes=9))))

    assert (state.load_lag_records, state.archive_lag_records) == (7, 2)
    assert (state.lag_measured_at, state.load_stalled_since) == ("2026-09-21T12:29:10.000Z", "2026-09-21T12:21:00.000Z")


@pytest.mark.parametrize(("is_late", "told"), [(False, (7, 2)), (True, (None, None))])
def test_a_lag_that_was_measured_too_long_ago_is_unknown_but_for_when(
    is_late: bool, told: tuple[int | None, ...]
) -> None:
    measured_ms = ms_of(NOW - LAG_AGE_MAX) - int(is_late)
    state = described(KeptLag(measured_ms, 7, 2, 100, measured_ms - 60_000))

    assert (state.load_lag_records, state.archive_lag_records) == told
    assert (state.load_stalled_since is None) is is_late
    assert state.lag_measured_at == f"2026-09-21T12:2{'4:59.999' if is_late else '5:00.000'}Z"


def test_where_no_lag_was_ever_kept_nothing_of_it_is_told() -> None:
    state = described(None)

    assert state.load_lag_records is state.archive_lag_records is state.lag_measured_at is None
    assert state.load_stalled_since is None
