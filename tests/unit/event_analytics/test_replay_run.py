"""A replay that is interrupted, held up, shared between runners, or reads what is damaged."""

import tracemalloc
from collections import Counter
from collections.abc import Sequence

import pytest

from event_analytics.archive_reading import survey
from event_analytics.errors import LogUnavailable, Reason, Refused
from event_analytics.replay_journal import LEASE_SECONDS, ReplayJournal, finished_name
from event_analytics.replay_run import SEND_ATTEMPTS, STEP_SECONDS, Progress, Stop, resume_replays
from event_analytics.replay_state import ReplayState, Status, read_job
from event_analytics.routing import Record
from tests.fakes import FakeEventLog, FakeObjectStore
from tests.unit.event_analytics.replay_archive import (
    ALL_TIME,
    START_MS,
    Clock,
    a_change,
    a_create,
    a_runner,
    after,
    archive_of,
    expected_records,
)

RECORDS = [a_create(at, at, START_MS + at) for at in range(30)] + [a_change(at, at, START_MS) for at in range(5)]
JOB = read_job(ALL_TIME, "r1")
SLOW_JOB = read_job({**ALL_TIME, "rate": 10}, "r1")


@pytest.fixture
def objects() -> FakeObjectStore:
    return archive_of(RECORDS[:12], RECORDS[10:30], RECORDS[30:])


@pytest.fixture
def clock() -> Clock:
    return Clock()


class SlowLog(FakeEventLog):
    """Takes some seconds for each append; `dies_after`: kills its caller at that append."""

    def __init__(self, clock: Clock, seconds: float, dies_after: int | None = None) -> None:
        super().__init__()
        self.clock, self.seconds, self.dies_after = clock, seconds, dies_after

    def append(self, records: Sequence[Record]) -> list[bool]:
        self.clock.seconds += self.seconds
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise KeyboardInterrupt
        return super().append(records)


def replays_in(objects: FakeObjectStore) -> list[str]:
    return [entry.name for entry in objects.list("replays/")]


def test_a_finished_replay_leaves_one_object_and_a_second_run_of_its_id_sends_nothing(
    objects: FakeObjectStore, clock: Clock
) -> None:
    log = FakeEventLog()
    runner = a_runner(objects, log, clock)
    first = runner.start(JOB)
    again = runner.start(JOB)

    assert replays_in(objects) == [finished_name("r1")]
    assert again.state == first.state == ReplayJournal(objects).read("r1")
    assert (again.sent, len(log.records)) == ({}, len(RECORDS))
    assert first.state.finished_ms is not None
    assert (first.state.counts.events_sent, first.state.counts.changes_sent) == (30, 5)
    assert first.state.counts.repeated_records == 2


def test_an_id_of_another_replay_is_refused(objects: FakeObjectStore, clock: Clock) -> None:
    runner = a_runner(objects, FakeEventLog(), clock)
    runner.start(JOB)

    with pytest.raises(Refused) as refused:
        runner.start(read_job({**ALL_TIME, "user_id": "u1"}, "r1"))

    assert refused.value.reason is Reason.ID_INVALID


def test_a_rate_is_held(objects: FakeObjectStore, clock: Clock) -> None:
    started = clock.seconds
    a_runner(objects, FakeEventLog(), clock).start(SLOW_JOB)

    assert clock.seconds - started == pytest.approx(len(RECORDS) / 10, abs=0.5)
    assert max(clock.slept) <= 1.0


def test_a_run_whose_time_is_over_gives_its_lease_back_and_the_schedule_ends_the_job(
    objects: FakeObjectStore, clock: Clock
) -> None:
    log = FakeEventLog()
    stopped = a_runner(objects, log, clock, is_over=after(1)).start(SLOW_JOB)
    sent_before = len(log.records)

    (resumed,) = resume_replays(objects, log, clock.seconds + 600, clock.now, clock.sleep, holder="schedule")

    assert (stopped.stop, stopped.state.lease_until_ms) == (Stop.TIME_OVER, 0)
    assert (resumed.stop, resumed.state.status) == (None, Status.DONE)
    assert resumed.sent["events_sent"] + resumed.sent["changes_sent"] == len(RECORDS) - sent_before > 0
    assert Counter(log.records) == expected_records(RECORDS, JOB)
    assert resume_replays(objects, log, clock.seconds + 600, clock.now, clock.sleep, holder="schedule") == []


def test_the_schedule_stops_at_its_deadline_and_goes_on_the_next_time(objects: FakeObjectStore, clock: Clock) -> None:
    log = FakeEventLog()
    a_runner(objects, log, clock, is_over=after(1)).start(SLOW_JOB)

    stops = []
    while not stops or stops[-1] is not None:
        (result,) = resume_replays(objects, log, clock.seconds + 0.5, clock.now, clock.sleep, holder="schedule")
        stops.append(result.stop)

    assert stops[:-1] == [Stop.TIME_OVER] * (len(stops) - 1)
    assert len(stops) >= 2
    assert Counter(log.records) == expected_records(RECORDS, JOB)


def test_the_schedule_leaves_a_replay_that_a_person_runs(objects: FakeObjectStore, clock: Clock) -> None:
    job = read_job(ALL_TIME, "r1", is_scheduled=False)
    a_runner(objects, FakeEventLog(), clock, is_over=after(0)).start(job)

    assert resume_replays(objects, FakeEventLog(), clock.seconds + 9, clock.now, clock.sleep, holder="schedule") == []


def test_a_runner_that_dies_is_succeeded_when_its_lease_has_run_out(objects: FakeObjectStore, clock: Clock) -> None:
    log = SlowLog(clock, STEP_SECONDS, dies_after=2)
    with pytest.raises(KeyboardInterrupt):
        a_runner(objects, log, clock).start(SLOW_JOB)
    log.dies_after = None

    early = a_runner(objects, log, clock, holder="r2").start(SLOW_JOB)
    clock.seconds += LEASE_SECONDS
    late = a_runner(objects, log, clock, holder="r2").start(SLOW_JOB)

    assert (early.stop, early.sent) == (Stop.HELD_ELSEWHERE, {})
    assert late.state.status is Status.DONE
    assert set(log.records) == set(expected_records(RECORDS, JOB))
    assert late.sent["events_sent"] < 30


def test_of_two_runners_that_take_a_job_one_gets_it(objects: FakeObjectStore, clock: Clock) -> None:
    journal = ReplayJournal(objects)
    state = journal.open(JOB, START_MS)

    assert journal.take(state, "r1", START_MS) is not None
    assert journal.take(state, "r2", START_MS) is None


def test_a_runner_whose_job_was_taken_over_stops_at_its_next_step(objects: FakeObjectStore, clock: Clock) -> None:
    class Rival(SlowLog):
        def append(self, records: Sequence[Record]) -> list[bool]:
            acknowledged = super().append(records)
            state = ReplayJournal(objects).read("r1")
            if state is not None and state.holder == "r1":
                late_ms = int((clock.seconds + LEASE_SECONDS + 1) * 1_000)
                ReplayJournal(objects).take(state, "rival", late_ms)
            return acknowledged

    result = a_runner(objects, Rival(clock, STEP_SECONDS), clock).start(SLOW_JOB)

    assert result.stop is Stop.HELD_ELSEWHERE
    latest = ReplayJournal(objects).read("r1")
    assert latest is not None
    assert (latest.holder, latest.status) == ("rival", Status.RUNNING)


def test_a_step_that_was_stored_although_the_answer_got_lost_is_ones_own(clock: Clock) -> None:
    class Forgetful(FakeObjectStore):
        def put_new(self, name: str, body: bytes) -> bool:
            super().put_new(name, body)
            return super().put_new(name, body)  # as boto3's second attempt finds it

    objects = Forgetful()
    objects.objects = archive_of(RECORDS).objects

    assert a_runner(objects, FakeEventLog(), clock).start(JOB).state.status is Status.DONE


def test_what_is_not_acknowledged_is_sent_again_from_the_first_of_it(objects: FakeObjectStore, clock: Clock) -> None:
    class Flaky(FakeEventLog):
        calls = 0

        def append(self, records: Sequence[Record]) -> list[bool]:
            self.calls += 1
            if self.calls == 2:
                raise LogUnavailable("no broker")
            self.refuse_after = 4 if self.calls == 1 else None
            return super().append(records)

    log = Flaky()
    result = a_runner(objects, log, clock).start(JOB)

    assert result.state.status is Status.DONE
    assert Counter(log.records) == expected_records(RECORDS, JOB)
    assert clock.slept == [1.0, 2.0]


def test_a_broker_that_stays_away_ends_the_run_and_not_the_job(objects: FakeObjectStore, clock: Clock) -> None:
    log = FakeEventLog()
    log.is_down = True
    stopped = a_runner(objects, log, clock).start(JOB)
    log.is_down = False
    (resumed,) = resume_replays(objects, log, clock.seconds + 9, clock.now, clock.sleep, holder="schedule")

    assert (stopped.stop, stopped.state.status) == (Stop.LOG_UNAVAILABLE, Status.RUNNING)
    assert len(clock.slept) == SEND_ATTEMPTS - 1
    assert resumed.state.status is Status.DONE
    assert Counter(log.records) == expected_records(RECORDS, JOB)


def test_ids_of_a_filter_survive_the_runner_that_collected_them(objects: FakeObjectStore, clock: Clock) -> None:
    job = read_job({**ALL_TIME, "user_id": "u1", "rate": 10}, "r1")
    log, runs = FakeEventLog(), 0
    while True:
        result = a_runner(objects, log, clock, holder=f"r{runs}", is_over=after(2)).start(job)
        runs += 1
        if result.stop is None:
            break

    assert runs > 2
    assert Counter(log.records) == expected_records(RECORDS, job)
    assert result.state.counts.changes_sent == 5


def test_a_damaged_object_is_named_and_the_rest_is_sent(objects: FakeObjectStore, clock: Clock) -> None:
    name = next(entry.name for entry in objects.list("raw/v1/topic=event-changes/"))
    objects.objects[name] = b"damaged"
    log = FakeEventLog()
    result = a_runner(objects, log, clock).start(JOB)

    assert (result.state.status, result.state.unreadable) == (Status.DONE, (name,))
    assert len(log.records) == 30


def test_records_that_must_not_come_back_are_left_out(objects: FakeObjectStore, clock: Clock) -> None:
    log = FakeEventLog()
    a_runner(objects, log, clock, is_kept=lambda record: record.offset % 2 == 0).start(JOB)

    assert len(log.records) == 15 + 3


def test_a_rehearsal_counts_and_sends_and_stores_nothing(objects: FakeObjectStore, clock: Clock) -> None:
    log, before = FakeEventLog(), dict(objects.objects)
    result = a_runner(objects, log, clock).rehearse(SLOW_JOB)

    assert (log.records, objects.objects, clock.slept) == ([], before, [])
    assert (result.sent["events_sent"], result.sent["changes_sent"]) == (30, 5)
    assert result.sent["bytes_sent"] == sum(len(record.value or b"") for record in RECORDS)


def test_memory_does_not_grow_with_the_archive(clock: Clock) -> None:
    class Counting(FakeEventLog):
        def append(self, records: Sequence[Record]) -> list[bool]:
            return [True] * len(records)

    peaks = []
    for objects_count in (4, 40):
        batches = [
            [a_create(at, at, START_MS, output="x" * 1_000) for at in range(first, first + 100)]
            for first in range(0, objects_count * 100, 100)
        ]
        objects = archive_of(*batches)
        del batches
        tracemalloc.start()
        result = a_runner(objects, Counting(), clock).start(read_job({**ALL_TIME, "rate": 100}, "r1"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.state.counts.events_sent == objects_count * 100

    assert peaks[1] < 1.5 * peaks[0]


def test_progress_adds_up_to_what_was_to_be_read_and_sent(objects: FakeObjectStore, clock: Clock) -> None:
    state = ReplayState(JOB, START_MS, START_MS)
    before = survey(objects, state)
    reports: list[Progress] = []
    result = a_runner(objects, FakeEventLog(), clock, on_progress=reports.append).start(JOB)

    assert (before.objects, before.records) == (3, len(RECORDS))
    assert sum(report.archived_bytes for report in reports) == before.archived_bytes > 0
    assert sum(report.records_sent for report in reports) == len(RECORDS)
    assert survey(objects, result.state).records == 0
