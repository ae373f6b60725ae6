"""Kafka, else S3, else "send it again"."""

import itertools
import threading
from collections.abc import Sequence

import pytest

from event_analytics.ports import EventLog, ObjectStore, Outcome
from event_analytics.routing import Record
from event_analytics.spool import SPOOL_PREFIX, decode_spool
from event_analytics.spooling import OPEN_SECONDS_FIRST, OPEN_SECONDS_MAX, Breaker, SpoolingLog
from tests.builders import ACCEPTED_MS, ACCEPTED_US
from tests.fakes import FakeEventLog, FakeObjectStore

ACCEPTED, SPOOLED, RETRY = Outcome.ACCEPTED, Outcome.SPOOLED, Outcome.RETRY
SECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now_us = ACCEPTED_US

    def __call__(self) -> int:
        return self.now_us


class PickyLog(FakeEventLog):
    """Acknowledges by a list of its own."""

    def __init__(self, answers: list[bool]) -> None:
        super().__init__()
        self.answers = answers

    def append(self, records: Sequence[Record]) -> list[bool]:
        return self.answers


class CountingLog(FakeEventLog):
    tries = 0

    def append(self, records: Sequence[Record]) -> list[bool]:
        self.tries += 1
        return super().append(records)


class BrokenSpool(FakeObjectStore):
    def put_new(self, name: str, body: bytes) -> bool:
        raise ConnectionError("no S3")


class HangingSpool(FakeObjectStore):
    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def put_new(self, name: str, body: bytes) -> bool:
        self.released.wait(20)
        return super().put_new(name, body)


class ForgetfulSpool(FakeObjectStore):
    """Its answer to the first write was lost; the client wrote again."""

    def put_new(self, name: str, body: bytes) -> bool:
        super().put_new(name, body)
        return super().put_new(name, body)


def keyed(*keys: str) -> list[Record]:
    return [Record("events", key.encode(), b'{"n":%d}' % n, ACCEPTED_MS) for n, key in enumerate(keys)]


def spooling(log: EventLog, spool: ObjectStore, clock: Clock | None = None, **more: float) -> SpoolingLog:
    now_us, ids = clock or Clock(), itertools.count()
    return SpoolingLog(log, spool, lambda: f"r{next(ids)}", now_us, breaker=Breaker(now_us, lambda: 1.0), **more)


def test_what_kafka_takes_is_accepted_and_not_spooled() -> None:
    log, spool = FakeEventLog(), FakeObjectStore()

    assert spooling(log, spool).append(keyed("a", "b")) == [ACCEPTED, ACCEPTED]
    assert spool.objects == {}


def test_without_kafka_all_is_one_object_named_by_time_and_request() -> None:
    log, spool, records = FakeEventLog(), FakeObjectStore(), keyed("a", "b", "a")
    log.is_down = True

    assert spooling(log, spool).append(records) == [SPOOLED] * 3
    assert list(spool.objects) == [f"{SPOOL_PREFIX}{ACCEPTED_US}-r0.jsonl.gz"]
    assert decode_spool(*spool.objects.values()) == records


def test_of_a_request_that_is_acknowledged_in_part_only_the_rest_is_spooled() -> None:
    spool, records = FakeObjectStore(), keyed("a", "b", "a", "b")

    assert spooling(PickyLog([True, False, True, False]), spool).append(records) == [
        ACCEPTED,
        SPOOLED,
        ACCEPTED,
        SPOOLED,
    ]
    assert decode_spool(*spool.objects.values()) == [records[1], records[3]]


def test_behind_the_first_failure_of_a_key_all_is_spooled_so_that_its_order_holds() -> None:
    spool, records = FakeObjectStore(), keyed("a", "a", "a", "b")

    assert spooling(PickyLog([True, False, True, True]), spool).append(records) == [
        ACCEPTED,
        SPOOLED,
        ACCEPTED,
        ACCEPTED,
    ]
    assert decode_spool(*spool.objects.values()) == records[1:3]


@pytest.mark.parametrize("spool", [BrokenSpool(), ForgetfulSpool()])
def test_with_both_down_all_is_to_be_sent_again_and_a_lost_answer_of_s3_is_none(spool: FakeObjectStore) -> None:
    log = FakeEventLog()
    log.is_down = True
    appended = spooling(log, spool).append(keyed("a", "b"))

    assert appended == ([RETRY] * 2 if isinstance(spool, BrokenSpool) else [SPOOLED] * 2)


def test_with_both_down_what_kafka_acknowledged_stays_accepted() -> None:
    log = spooling(PickyLog([True, False]), BrokenSpool())

    assert log.append(keyed("a", "b")) == [ACCEPTED, RETRY]
    assert log.troubles == {"log": "1 of 2 not acknowledged", "spool": "ConnectionError: no S3"}


def test_another_object_of_the_name_is_not_taken_for_ours() -> None:
    log, spool = FakeEventLog(), FakeObjectStore()
    log.is_down = True
    spool.put_new(f"{SPOOL_PREFIX}{ACCEPTED_US}-r0.jsonl.gz", b"another's")

    assert spooling(log, spool).append(keyed("a")) == [RETRY]


def test_a_spool_that_hangs_is_left_behind_in_time() -> None:
    log, spool = FakeEventLog(), HangingSpool()
    log.is_down = True
    try:
        assert spooling(log, spool, spool_seconds_max=0.05).append(keyed("a")) == [RETRY]
    finally:
        spool.released.set()


def test_nothing_to_append_touches_nothing() -> None:
    log = CountingLog()

    assert spooling(log, BrokenSpool()).append([]) == []
    assert log.tries == 0


def test_after_a_failure_kafka_is_left_alone_for_seconds_and_every_request_is_spooled() -> None:
    log, spool, clock = CountingLog(), FakeObjectStore(), Clock()
    log.is_down = True
    both = spooling(log, spool, clock)
    for _ in range(10):
        assert both.append(keyed("a")) == [SPOOLED]
        clock.now_us += SECOND // 10

    assert log.tries == 1
    assert len(spool.objects) == 10


def test_the_first_request_after_the_pause_finds_kafka_back() -> None:
    log, clock = CountingLog(), Clock()
    log.is_down = True
    both = spooling(log, FakeObjectStore(), clock)
    both.append(keyed("a"))
    log.is_down = False
    clock.now_us += int(OPEN_SECONDS_FIRST * SECOND)

    assert both.append(keyed("a")) == [ACCEPTED]
    assert both.append(keyed("a")) == [ACCEPTED]
    assert both.troubles == {}


def test_pauses_double_up_to_a_bound_and_start_anew_after_a_success() -> None:
    clock = Clock()
    breaker = Breaker(clock, lambda: 1.0)

    def pause() -> float:
        breaker.report(is_success=False)
        started = clock.now_us
        while breaker.is_open():
            clock.now_us += SECOND // 2
        return (clock.now_us - started) / SECOND

    assert [pause() for _ in range(4)] == [OPEN_SECONDS_FIRST, 4.0, OPEN_SECONDS_MAX, OPEN_SECONDS_MAX]
    breaker.report(is_success=True)
    assert not breaker.is_open()
    assert pause() == OPEN_SECONDS_FIRST


def test_a_clock_that_is_set_back_does_not_keep_kafka_away() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.report(is_success=False)
    assert breaker.is_open()
    clock.now_us -= 3_600 * SECOND

    assert not breaker.is_open()
