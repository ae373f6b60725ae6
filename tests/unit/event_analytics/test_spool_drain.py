"""The spool goes to Kafka in order, once it has all of it, by one drain at a time."""

from collections.abc import Sequence

import pytest

from event_analytics.errors import StoreUnavailable
from event_analytics.ports import Outcome
from event_analytics.routing import Record
from event_analytics.spool import SPOOL_PREFIX, encode_spool, spool_name
from event_analytics.spool_drain import DrainReport, drain_spool, run_drain_spool
from event_analytics.spool_lease import LEASE_PREFIX, take_lease
from event_analytics.spooling import SpoolingLog
from tests.builders import ACCEPTED_MS, ACCEPTED_US
from tests.fakes import FakeEventLog, FakeObjectStore

SECOND = 1_000_000
LATER = ACCEPTED_US + 60 * SECOND


class Killed(BaseException):
    """The process ends here."""


class KilledAtDelete(FakeObjectStore):
    def delete(self, name: str) -> None:
        if name.startswith(SPOOL_PREFIX):
            raise Killed
        super().delete(name)


class CuttingLog(FakeEventLog):
    """Keeps each append by itself, and acknowledges only so many in all, and in each append."""

    def __init__(self, capacity: int = 10**9, at_once: int = 10**9) -> None:
        super().__init__()
        self.appends: list[int] = []
        self.bytes: list[int] = []
        self.capacity = capacity
        self.at_once = at_once

    def append(self, records: Sequence[Record]) -> list[bool]:
        self.appends.append(len(records))
        self.bytes.append(sum(len(record.value) for record in records))
        self.refuse_after = min(len(records), self.at_once, self.capacity - len(self.records))
        return super().append(records)


def record(number: int, key: str = "a") -> Record:
    return Record("events", key.encode(), b'{"n":%d}' % number, ACCEPTED_MS + number)


def spooled(*objects: list[Record], into: FakeObjectStore | None = None) -> FakeObjectStore:
    spool = into if into is not None else FakeObjectStore()
    for number, records in enumerate(objects):
        spool.put_new(spool_name(ACCEPTED_US + number, "r"), encode_spool(records))
    return spool


def drain(spool: FakeObjectStore, log: FakeEventLog, now_us: int = LATER, **more: float) -> DrainReport:
    return drain_spool(spool, log, "drain-1", lambda: now_us, **more)


def test_all_objects_are_published_in_the_order_of_acceptance_and_deleted() -> None:
    objects = [[record(n), record(n + 1, "b")] for n in range(0, 200, 2)]
    spool, log = spooled(*objects), FakeEventLog()

    assert drain(spool, log) == DrainReport(published=200, deleted=100)
    assert log.records == [one for records in objects for one in records]
    assert spool.objects == {}


def test_what_an_outage_spooled_comes_out_in_the_order_of_each_key() -> None:
    log, spool, now = FakeEventLog(), FakeObjectStore(), iter(range(ACCEPTED_US, LATER))
    both = SpoolingLog(log, spool, lambda: "r", lambda: next(now))
    log.refuse_after = 3
    sent = [record(number, "abc"[number % 3]) for number in range(30)]
    outcomes = [outcome for start in range(0, 30, 10) for outcome in both.append(sent[start : start + 10])]
    log.refuse_after = None

    assert outcomes == [Outcome.ACCEPTED] * 3 + [Outcome.SPOOLED] * 27
    assert drain(spool, log).published == 27
    for key in (b"a", b"b", b"c"):
        assert [one for one in log.records if one.key == key] == [one for one in sent if one.key == key]


def test_nothing_is_deleted_before_all_of_an_object_is_acknowledged_and_nothing_after_it() -> None:
    spool = spooled([record(0), record(1)], [record(2), record(3)], [record(4, "b")])
    report = drain(spool, CuttingLog(capacity=3))

    assert (report.published, report.deleted, report.left) == (3, 1, 2)
    assert report.stopped == "1 of 2 not acknowledged"
    assert report.oldest_us == ACCEPTED_US + 1

    log = FakeEventLog()
    assert drain(spool, log) == DrainReport(published=3, deleted=2)
    assert log.records == [record(2), record(3), record(4, "b")]


def test_without_a_broker_everything_stays() -> None:
    spool, log = spooled([record(0)], [record(1)]), FakeEventLog()
    log.is_down = True
    report = drain(spool, log)

    assert (report.published, report.deleted, report.left) == (0, 0, 2)
    assert "no broker" in report.stopped


def test_a_drain_that_is_killed_before_it_deletes_is_repeated_with_the_same_records() -> None:
    spool, log = KilledAtDelete(), FakeEventLog()
    spooled([record(0), record(1)], into=spool)
    with pytest.raises(Killed):
        drain(spool, log)
    survived = FakeObjectStore()
    survived.objects = {name: body for name, body in spool.objects.items() if name.startswith(SPOOL_PREFIX)}

    assert drain(survived, log).deleted == 1
    assert log.records == [record(0), record(1)] * 2


def test_records_are_appended_in_bounded_groups_of_whole_objects() -> None:
    log = CuttingLog()
    drain(spooled(*([record(n)] * 2_000 for n in range(6)), *([record(n)] for n in range(100))), log)

    assert sum(log.appends) == 12_100
    assert max(log.appends) <= 5_000


def test_many_bytes_go_in_several_appends() -> None:
    large = [Record("events", b"a", b"x" * 900_000, 1)] * 3
    log = CuttingLog()

    assert drain(spooled(large, large, large * 3, [record(1)]), log).deleted == 4
    assert (sum(log.appends), max(log.bytes) <= 4_000_000) == (16, True)


def test_appends_begin_small_and_grow_while_the_broker_takes_them() -> None:
    log = CuttingLog()
    drain(spooled([record(n) for n in range(20_000)]), log)

    assert log.appends == [312, 625, 1_250, 2_500, 5_000, 5_000, 5_000, 313]


@pytest.mark.parametrize("at_once", [19, 100, 1_000])
def test_a_slow_broker_gets_all_of_a_large_object_in_small_appends(at_once: int) -> None:
    records = [record(n) for n in range(3_000)]
    spool, log = spooled(records), CuttingLog(at_once=at_once)

    assert drain(spool, log) == DrainReport(published=3_000, deleted=1)
    assert log.records == records
    assert sum(log.appends) < 2.5 * len(records)


def test_a_broker_that_takes_nothing_is_left_alone_after_a_few_appends() -> None:
    log = CuttingLog(at_once=0)
    report = drain(spooled([record(n) for n in range(3_000)], [record(1)]), log)

    assert (report.published, report.left) == (0, 2)
    assert "not acknowledged" in report.stopped
    assert log.appends == [312, 78, 19]


def test_what_was_accepted_while_the_drain_began_waits_for_the_next() -> None:
    spool, log = spooled([record(0)], [record(1)]), FakeEventLog()

    report = drain(spool, log, now_us=ACCEPTED_US + SECOND)
    assert (report.deleted, report.left, report.stopped) == (1, 1, "")
    assert drain(spool, log, now_us=ACCEPTED_US + 2 * SECOND).left == 0


def test_a_drain_ends_at_its_deadline() -> None:
    times = iter([LATER] + [LATER + 50 * SECOND] * 100)
    spool = spooled([record(0)])
    report = drain_spool(spool, FakeEventLog(), "drain-1", lambda: next(times))

    assert (report.published, report.left, report.stopped) == (0, 1, "out of time")


def test_an_object_that_cannot_be_read_is_counted_and_kept_and_stops_nobody() -> None:
    spool, log = spooled([record(0)]), FakeEventLog()
    foreign = {spool_name(ACCEPTED_US - 1, "r"): b"broken", f"{SPOOL_PREFIX}notes.txt": encode_spool([record(9)])}
    spool.objects.update(foreign)
    report = drain(spool, log)

    assert (report.published, report.deleted, report.unreadable, report.left) == (1, 1, 2, 2)
    assert spool.objects == foreign


def test_records_erased_meanwhile_are_dropped() -> None:
    spool, log = spooled([record(0, "gone"), record(1)], [record(2, "gone")]), FakeEventLog()
    report = drain_spool(spool, log, "d", lambda: LATER, keep=lambda one: one.key != b"gone")

    assert (report.published, report.deleted) == (1, 2)
    assert log.records == [record(1)]


def test_while_an_erased_record_cannot_be_dropped_its_object_stays_and_nobody_waits() -> None:
    first, second = [record(0), record(1, "gone"), record(2)], [record(3)]
    spool, log = spooled(first, second), FakeEventLog()
    is_store_away = True

    def keep(one: Record) -> bool:
        if one.key == b"gone" and is_store_away:
            raise StoreUnavailable("away")
        return one.key != b"gone"

    report = drain_spool(spool, log, "d", lambda: LATER, keep=keep)

    assert log.records == [record(0), record(2), record(3)]
    assert (report.stopped, report.postponed, report.deleted, report.left) == ("", 1, 1, 1)

    is_store_away = False
    report = drain_spool(spool, log, "d", lambda: LATER, keep=keep)

    assert (report.postponed, report.deleted, report.left) == (0, 1, 0)
    assert record(1, "gone") not in log.records


def test_a_lease_whose_answer_got_lost_is_held_and_not_left_behind() -> None:
    class Forgetful(FakeObjectStore):
        """Stores the first object, and the repeated PUT of the client finds it."""

        is_answer_lost = True

        def put_new(self, name: str, body: bytes) -> bool:
            is_new = super().put_new(name, body) and not self.is_answer_lost
            self.is_answer_lost = False
            return is_new

    spool, log = Forgetful(), FakeEventLog()
    spool.objects = spooled([record(0)]).objects

    assert drain(spool, log).published == 1
    assert not list(spool.list(LEASE_PREFIX))


def test_a_second_drain_does_nothing_while_the_first_holds_the_lease() -> None:
    spool, log = spooled([record(0)]), FakeEventLog()
    lease = take_lease(spool, "other", LATER, 100)
    assert lease is not None
    assert drain(spool, log) == DrainReport(stopped="another drain holds the lease")

    spool.delete(lease)
    assert drain(spool, log).published == 1
    assert not list(spool.list(LEASE_PREFIX))


def test_the_lease_of_a_drain_that_was_killed_ends_by_itself() -> None:
    spool = FakeObjectStore()
    assert take_lease(spool, "killed", LATER, 100)

    assert take_lease(spool, "next", LATER + 104 * SECOND, 100) is None
    assert take_lease(spool, "next", LATER + 106 * SECOND, 100)
    assert len(spool.objects) == 1


def test_of_two_that_ask_at_once_never_both_have_the_lease() -> None:
    class Interrupted(FakeObjectStore):
        """Between a contender's write and its look around, another does both."""

        other: str | None = ""

        def put_new(self, name: str, body: bytes) -> bool:
            written = super().put_new(name, body)
            if self.other == "":
                self.other = None
                self.other = take_lease(self, "second", LATER, 100)
            return written

    spool = Interrupted()
    first = take_lease(spool, "first", LATER, 100)

    assert not (first and spool.other)


def test_the_job_says_on_its_line_what_it_did() -> None:
    counts: dict[str, float] = {}
    notes: dict[str, object] = {}

    class Line:
        def count(self, **more: float) -> None:
            counts.update(more)

        def note(self, **more: str | int | None) -> None:
            notes.update(more)

    log = FakeEventLog()
    log.is_down = True
    run_drain_spool(spooled([record(0)]), log, "d", lambda: LATER, Line())

    assert counts == {
        "drained_records": 0,
        "drained_objects": 0,
        "spooled_objects_left": 1,
        "unreadable_spool_objects": 0,
        "spool_age_seconds": 60.0,
    }
    assert "no broker" in str(notes["drain_stopped"])
