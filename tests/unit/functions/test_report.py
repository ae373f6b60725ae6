"""Schedule -> jobs, with fakes."""

import itertools
from dataclasses import replace

import pytest

from event_analytics.integrity_cursor import HOUR_SECONDS, read_cursor
from event_analytics.kept_lag import KeptLag, read_kept_lag
from event_analytics.observability import InvocationLine
from event_analytics.spooling import SpoolingLog
from functions.report.app import VERIFY_SECONDS_MAX, Deps, JobsFailed, JobUnknown, handle
from tests.builders import ACCEPTED_US, an_acceptance, raw
from tests.fakes import FakeEventLog, FakeEventStore, FakeObjectStore, FakeTopicOffsets
from tests.unit.event_analytics.both_sides import StoreOf


@pytest.fixture
def deps() -> Deps:
    return Deps(
        FakeEventStore(), FakeObjectStore(), FakeEventLog(), lambda: ACCEPTED_US / 1e6 + 3_600, FakeTopicOffsets(), 0
    )


def test_what_was_spooled_is_published_and_deleted(deps: Deps) -> None:
    from event_analytics.ingest import item_of_event

    down = FakeEventLog()
    down.is_down = True
    record = item_of_event(raw(), 0, an_acceptance()).record
    assert record is not None
    SpoolingLog(down, deps.spool, lambda: "request", lambda: ACCEPTED_US).append([record])
    line = InvocationLine()

    handle({"jobs": ["fold_pending", "drain_spool"]}, deps, line)

    assert isinstance(deps.log, FakeEventLog)
    assert deps.log.records == [record]
    assert list(deps.spool.list("spool/")) == []
    assert line.counts["drained_records"] == 1
    assert line.counts["pending_ids"] == 0


def test_the_lag_is_counted_and_kept_for_who_reaches_no_broker(deps: Deps) -> None:
    assert isinstance(deps.offsets, FakeTopicOffsets)
    deps.offsets.end_of = {"events": 100}
    deps.offsets.reached_by = {("tallystream-load", "events"): 60, ("tallystream-archive", "events"): 99}
    line = InvocationLine()

    handle({"jobs": ["measure_lag"]}, deps, line)

    assert (line.counts["load_lag_records"], line.counts["archive_lag_records"]) == (40, 1)
    assert read_kept_lag(deps.spool) == KeptLag(int(deps.now() * 1_000), 40, 1, 60)


def test_while_the_brokers_are_away_the_lag_stays_what_it_was(deps: Deps) -> None:
    assert isinstance(deps.offsets, FakeTopicOffsets)
    handle({"jobs": ["measure_lag"]}, deps, InvocationLine())
    before = read_kept_lag(deps.spool)
    deps.offsets.is_down = True
    line = InvocationLine()

    handle({"jobs": ["measure_lag"]}, deps, line)

    assert read_kept_lag(deps.spool) == before
    assert "load_lag_records" not in line.counts
    assert "no broker" in str(line.fields["lag_unknown"])


def test_the_integrity_check_ends_in_time_and_goes_on_in_the_next_invocation(deps: Deps) -> None:
    times = itertools.count(ACCEPTED_US / 1e6 + 3.5 * 3_600, VERIFY_SECONDS_MAX)  # each look at the clock is too late
    late = replace(deps, now=lambda: next(times), store=StoreOf([], []))
    checked_until = []

    for _ in range(3):
        handle({"jobs": ["verify"]}, late, InvocationLine())
        cursor = read_cursor(deps.spool)
        assert cursor is not None
        checked_until.append(cursor.checked_until)

    assert [each - checked_until[0] for each in checked_until] == [0, 0, HOUR_SECONDS]  # creates, changes, the end


def test_a_job_that_fails_does_not_keep_the_next_from_running(deps: Deps) -> None:
    assert isinstance(deps.store, FakeEventStore)
    deps.store.is_down = True
    line = InvocationLine()

    with pytest.raises(JobsFailed, match="fold_pending"):
        handle({"jobs": ["fold_pending", "drain_spool"]}, deps, line)

    assert "drained_records" in line.counts


def test_an_unknown_job_is_named_before_any_runs(deps: Deps) -> None:
    with pytest.raises(JobUnknown, match="tidy"):
        handle({"jobs": ["fold_pending", "tidy"]}, deps, InvocationLine())

    assert isinstance(deps.store, FakeEventStore)
    assert deps.store.asked == []
