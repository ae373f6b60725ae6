"""Erasures over HTTP, with fakes: what is asked for, and what is told of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_analytics.erasure_journal import REQUESTS_MAX, ErasureJournal, RunTaken, read_run
from event_analytics.erasure_state import KAFKA_NOTE, Step
from event_analytics.errors import Reason, Refused
from event_analytics.observability import InvocationLine
from functions.admin import app
from tests.builders import a_request
from tests.fakes import FakeEventLog, FakeKeySource, FakeObjectStore

NOW = datetime(2026, 9, 21, 12, 0, 0, 123_456, tzinfo=UTC)
NOW_US = 1_789_992_000_123_456


class Operator:
    """Calls the handlers with fakes behind them."""

    def __init__(self) -> None:
        self.objects, self.keys = FakeObjectStore(), FakeKeySource()
        self.now = NOW
        self.deps = app.Deps(self.objects, FakeEventLog(), self.keys, lambda: self.now)

    def erase(self, user: str, key: str | None = None) -> dict[str, Any]:
        request = a_request(key=key or self.keys.admin_key, path_parameters={"user_id": user})
        answer = app.handle_erase(request, self.deps, InvocationLine())
        assert answer.status == 202
        return dict(json.loads(answer.body))

    def record(self, erasure_id: str) -> dict[str, Any]:
        request = a_request(key=self.keys.admin_key, path_parameters={"id": erasure_id})
        answer = app.handle_erasure(request, self.deps, InvocationLine())
        assert answer.status == 200
        return dict(json.loads(answer.body))


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_an_erasure_is_accepted_and_kept_until_it_is_carried_out(operator: Operator) -> None:
    answer = operator.erase("alice@example.org")

    assert answer.keys() == {"erasure_id", "status"}
    assert answer["status"] == "accepted"
    [(name, body)] = operator.objects.objects.items()
    assert name == f"erasures/v1/requested/{answer['erasure_id']}.json"
    assert json.loads(body) == {
        "erasure_id": answer["erasure_id"], "user_id": "alice@example.org", "accepted_us": NOW_US,
    }  # fmt: skip
    record = operator.record(answer["erasure_id"])
    assert (record["status"], record["accepted_at"]) == ("accepted", "2026-09-21T12:00:00.123Z")
    assert record["kafka"] == KAFKA_NOTE


def test_the_same_user_again_is_another_erasure(operator: Operator) -> None:
    assert operator.erase("alice")["erasure_id"] != operator.erase("alice")["erasure_id"]


def test_a_run_takes_all_that_wait_and_one_user_once_up_to_the_latest(operator: Operator) -> None:
    first = operator.erase("alice")["erasure_id"]
    operator.now = NOW + timedelta(seconds=1)
    second, third = operator.erase("alice")["erasure_id"], operator.erase("bob")["erasure_id"]
    journal = ErasureJournal(operator.objects)

    run = journal.open(5)

    assert run is not None
    assert [set(subject.requests) for subject in run.subjects] == [{first, second}, {third}]
    assert run.subjects[0].erased_us == NOW_US + 1_000_000
    assert set(journal.read_users(run).values()) == {"alice", "bob"}
    assert journal.open(6) == run
    assert b"alice" not in operator.objects.objects[f"erasures/v1/running/{first}.json"]
    assert operator.record(first)["status"] == "running"
    assert operator.record(first)["step"] == "mark"


def test_a_run_takes_a_bounded_number(operator: Operator) -> None:
    for number in range(REQUESTS_MAX + 1):
        operator.erase(f"u{number}")

    run = ErasureJournal(operator.objects).open(5)

    assert run is not None
    assert len(run.subjects) == REQUESTS_MAX


def test_of_two_runners_the_one_that_comes_late_stops(operator: Operator) -> None:
    operator.erase("alice")
    journal = ErasureJournal(operator.objects)
    run = journal.open(5)
    assert run is not None

    journal.write(run.after(Step.NOTE_ENDS, 6))
    with pytest.raises(RunTaken):
        journal.write(run.after(Step.SETTLE, 6))


def test_a_run_that_was_opened_again_after_its_end_is_dropped(operator: Operator) -> None:
    erasure_id = operator.erase("alice")["erasure_id"]
    journal = ErasureJournal(operator.objects)
    run = journal.open(5)
    assert run is not None
    [(name, body)] = [item for item in operator.objects.objects.items() if "/running/" in item[0]]
    journal.finish(run.changed(found_now={}), 6)

    operator.objects.put_new(name, body)  # by one who had read the request before

    assert journal.open(7) is None
    assert operator.record(erasure_id)["status"] == "done"
    assert name not in operator.objects.objects


def test_the_record_that_stays_has_counts_and_nobody_s_name_and_nothing_else_is_left(operator: Operator) -> None:
    erasure_id = operator.erase("alice")["erasure_id"]
    journal = ErasureJournal(operator.objects)
    run = journal.open(1_790_000_000_000)
    assert run is not None
    found = run.counting("events", {run.subjects[0].user_hash: 3}).changed(found_now={"events": (0,)}, round=2)
    run = journal.write(found)

    journal.finish(run, 1_790_000_060_000)
    journal.finish(run, 1_790_000_060_000)  # its runner died and did it again

    record = operator.record(erasure_id)
    assert (record["status"], record["finished_at"]) == ("done", "2026-09-21T14:14:20.000Z")
    assert record["places"] == {"events": {"before": 3, "after": 0}}
    assert read_run(operator.objects) is None
    assert list(operator.objects.objects) == [f"erasures/v1/finished/{erasure_id}.json"]
    assert operator.objects.past == {}
    assert b"alice" not in b"".join(operator.objects.objects.values())


@pytest.mark.parametrize("identifier", ["x", "../requested/x", "01a0c450-6c00-7000-8000-000000000001"])
def test_an_erasure_that_there_is_not_is_named_so(operator: Operator, identifier: str) -> None:
    with pytest.raises(Refused) as refused:
        operator.record(identifier)

    assert str(refused.value.reason) == "erasure_not_found"
    assert refused.value.status == 404


def test_erasing_needs_the_scope_admin_and_a_user_id_that_can_exist(operator: Operator) -> None:
    for key, user, reason in (
        (operator.keys.write_key, "alice", Reason.SCOPE_MISSING),
        (operator.keys.admin_key, "a" * 129, Reason.TEXT_TOO_LONG),
    ):
        with pytest.raises(Refused) as refused:
            operator.erase(user, key)
        assert refused.value.reason is reason
    assert operator.objects.objects == {}
