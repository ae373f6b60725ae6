"""What a replay sends: the records accepted in its window, or a filter's events with all their changes, each once."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics import replay
from event_analytics.archive import plan_archive
from event_analytics.errors import Reason, Refused
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.replay_run import Stop
from event_analytics.replay_state import Status, read_job
from tests.builders import ACCEPTED_MS, a_record
from tests.fakes import FakeEventLog
from tests.unit.event_analytics.replay_archive import (
    ALL_TIME,
    HOUR_MS,
    START_MS,
    Clock,
    a_change,
    a_create,
    a_runner,
    after,
    archive_of,
    cut_with_overlaps,
    expected_records,
    instant,
)

MOMENTS = st.one_of(
    st.integers(0, 3 * HOUR_MS), st.sampled_from([0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS])
).map(lambda at: START_MS + at)
WHO = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", "u2"]),
        "conversation_id": st.sampled_from(["c1", "c2"]),
        "event_name": st.sampled_from(["search", "answer"]),
        "partition": st.integers(0, 1),
    }
)
FILTERS = st.fixed_dictionaries(
    {}, optional={"user_id": st.just("u1"), "conversation_id": st.just("c2"), "event_name": st.just("answer")}
)


@st.composite
def histories(draw: st.DrawFn) -> list[KafkaRecord]:
    """Creates, some of them twice, and changes, some without an event."""
    creates = [
        a_create(offset, draw(st.integers(0, 8)), draw(MOMENTS), **draw(WHO))
        for offset in range(draw(st.integers(0, 20)))
    ]
    changes = [a_change(offset, draw(st.integers(0, 10)), draw(MOMENTS)) for offset in range(draw(st.integers(0, 12)))]
    return creates + changes


@given(histories(), st.randoms(use_true_random=False), MOMENTS, MOMENTS, FILTERS)
def test_sends_what_a_filter_over_all_records_gives_however_objects_are_cut(
    records: list[KafkaRecord], random_cuts: random.Random, one: int, other: int, asked: dict[str, str]
) -> None:
    start_ms, end_ms = sorted((one, other + 1)) if one != other + 1 else (one, one + 1)
    job = read_job({"start": instant(start_ms), "end": instant(end_ms), **asked}, "r")
    objects, log = archive_of(*cut_with_overlaps(records, random_cuts)), FakeEventLog()

    result = a_runner(objects, log, Clock()).start(job)

    assert (result.state.status, result.stop) == (Status.DONE, None)
    assert Counter(log.records) == expected_records(records, job)
    assert result.state.counts.events_sent + result.state.counts.changes_sent == len(log.records)


@given(histories(), st.randoms(use_true_random=False), FILTERS, st.integers(0, 6))
def test_a_replay_that_is_stopped_again_and_again_sends_each_record_once(
    records: list[KafkaRecord], random_cuts: random.Random, asked: dict[str, str], patience: int
) -> None:
    job = read_job({**ALL_TIME, **asked, "rate": 3}, "r")
    objects, log, clock = archive_of(*cut_with_overlaps(records, random_cuts)), FakeEventLog(), Clock()

    for run in range(200):
        result = a_runner(objects, log, clock, holder=f"r{run}", is_over=after(patience + 1)).start(job)
        if result.stop is None:
            break

    assert result.state.status is Status.DONE
    assert Counter(log.records) == expected_records(records, job)


def test_both_ends_of_the_window_are_exact_to_the_millisecond() -> None:
    moments = [START_MS + HOUR_MS + at for at in (-1, 0, 1, 1_499, 1_500, 1_501)]
    objects, log = archive_of([a_create(at, at, moment) for at, moment in enumerate(moments)]), FakeEventLog()
    job = read_job({"start": instant(moments[1]), "end": instant(moments[4])}, "r")

    a_runner(objects, log, Clock()).start(job)

    assert [record.timestamp_ms for record in log.records] == moments[1:4]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-09-21T14:13:20Z", "2026-09-21T14:13:20.001Z", (ACCEPTED_MS, ACCEPTED_MS + 1)),
        ("2026-09-21T16:13:20+02:00", "2026-09-21T14:13:20.0000001Z", None),
        ("2026-09-21T14:13:19.999001Z", "2026-09-21T14:13:20.000001Z", (ACCEPTED_MS, ACCEPTED_MS + 1)),
    ],
)
def test_ends_finer_than_a_millisecond_mean_the_same_records(
    start: str, end: str, expected: tuple[int, int] | None
) -> None:
    try:
        job = read_job({"start": start, "end": end}, "r")
    except Refused as refused:
        assert (expected, refused.reason) == (None, Reason.WINDOW_INVALID)
    else:
        assert (job.start_ms, job.end_ms) == expected


def test_a_filtered_replay_sends_a_delete_from_outside_its_window() -> None:
    create, delete = a_create(0, 1, START_MS), a_change(0, 1, START_MS + 5 * HOUR_MS)
    objects, log = archive_of([create, delete, a_change(1, 2, START_MS)]), FakeEventLog()
    job = read_job({"start": instant(START_MS), "end": instant(START_MS + 1), "user_id": "u1"}, "r")

    a_runner(objects, log, Clock()).start(job)

    assert [record.value for record in log.records] == [create.value, delete.value]


def test_creates_are_sent_before_changes_and_offsets_in_order() -> None:
    records = [a_change(0, 1, START_MS), *(a_create(at, at, START_MS) for at in range(12))]
    batches = [[records[0]], records[9:12], records[1:11], records[12:]]
    objects, log = archive_of(*batches), FakeEventLog()

    a_runner(objects, log, Clock()).start(read_job(ALL_TIME, "r"))

    assert [record.value for record in log.records] == [record.value for record in [*records[1:], records[0]]]


def test_lives_of_a_topic_are_told_apart_by_their_epoch() -> None:
    objects, log = archive_of([a_create(0, 1, START_MS)]), FakeEventLog()
    for archived in plan_archive([a_create(0, 2, START_MS)], "e2"):
        objects.put_new(archived.name, archived.body)

    a_runner(objects, log, Clock()).start(read_job(ALL_TIME, "r"))

    assert len(log.records) == 2


def test_bytes_that_hold_no_event_are_sent_as_they_are_unless_a_filter_asks_for_events() -> None:
    poison = [a_record(0, value=b"\xff", key=None), a_record(1, value=None), a_record(2, value=b"{}")]

    for asked, expected in (({}, [(b"", b"\xff"), (b"u1", b"{}")]), ({"user_id": "u1"}, [])):
        log = FakeEventLog()
        result = a_runner(archive_of(poison), log, Clock()).start(read_job({**ALL_TIME, **asked}, "r"))

        assert [(record.key, record.value) for record in log.records] == expected
        assert result.state.counts.records_without_value == (0 if asked else 1)


def test_other_objects_in_the_archive_are_no_obstacle() -> None:
    objects, log = archive_of([a_create(0, 1, START_MS)]), FakeEventLog()
    objects.put_new("raw/v1/topic=events/date=2000-01-01/readme.txt", b"")
    objects.put_new(
        "raw/v1/topic=events-other/date=2000-01-01/hour=00/partition=000/epoch=e/0-0-00000000.jsonl.gz", b""
    )

    result = a_runner(objects, log, Clock()).start(read_job(ALL_TIME, "r"))

    assert (len(log.records), result.state.unreadable) == (1, ())


def test_a_filter_that_matches_more_ids_than_fit_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "FILTERED_IDS_MAX", 2)
    objects, log = archive_of([a_create(at, at, START_MS) for at in range(3)]), FakeEventLog()
    runner = a_runner(objects, log, Clock())

    result = runner.start(read_job({**ALL_TIME, "user_id": "u1"}, "r"))

    assert result.state.status is Status.FAILED
    assert "shorter windows" in result.state.failure
    assert runner.resume(result.state) == (result.state, None, {})


@pytest.mark.parametrize(
    ("payload", "reason", "field"),
    [
        ({"begin": "x"}, Reason.PARAMETER_UNKNOWN, "begin"),
        ({"user_id": 5}, Reason.WRONG_TYPE, None),
        ({"user_id": ""}, Reason.WRONG_TYPE, None),
        ({"start": None}, Reason.WRONG_TYPE, None),
        ({"start": "2026-09-21"}, Reason.WINDOW_INVALID, "start"),
        ({"start": "2026-09-21T10:00:00"}, Reason.WINDOW_INVALID, "start"),
        ({"start": "1969-01-01T00:00:00Z"}, Reason.WINDOW_INVALID, "start"),
        ({"end": "1970-01-01T00:00:00Z"}, Reason.WINDOW_INVALID, "end"),
        ({"replay_id": "../x"}, Reason.ID_INVALID, "replay_id"),
        ({"replay_id": ""}, Reason.ID_INVALID, "replay_id"),
        ({"rate": 0}, Reason.LIMIT_INVALID, "rate"),
    ],
)
def test_a_payload_that_is_wrong_is_refused_by_name(
    payload: dict[str, object], reason: Reason, field: str | None
) -> None:
    with pytest.raises(Refused) as refused:
        read_job({**ALL_TIME, **payload}, "r")

    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_window_without_records_ends_at_once() -> None:
    result = a_runner(archive_of([]), FakeEventLog(), Clock()).start(read_job(ALL_TIME, "r"))

    assert (result.state.status, result.stop) == (Status.DONE, None)
    assert Stop.TIME_OVER == "time_over"
