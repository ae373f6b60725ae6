"""Schedule -> jobs, with fakes."""

import pytest

from event_analytics.observability import InvocationLine
from event_analytics.spooling import SpoolingLog
from functions.report.app import Deps, JobsFailed, JobUnknown, handle
from tests.builders import ACCEPTED_US, an_acceptance, raw
from tests.fakes import FakeEventLog, FakeEventStore, FakeObjectStore, FakeTopicOffsets


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
