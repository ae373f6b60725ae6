"""A job's payload -> records on the replay topic, within one invocation's time."""

from collections import Counter
from typing import Any

import pytest

from event_analytics.observability import InvocationLine
from event_analytics.replay_journal import step_name
from event_analytics.replay_run import RUNNER_STOPS_SECONDS
from event_analytics.settings import ReplaySettings, SettingsMissing
from functions.replay.app import Deps, handle
from tests.fakes import FakeEventLog, FakeObjectStore
from tests.unit.event_analytics.replay_archive import ALL_TIME, START_MS, Clock, a_create, archive_of, expected_records

RECORDS = [a_create(at, at, START_MS + at) for at in range(20)]


@pytest.fixture
def deps() -> Deps:
    clock = Clock()
    return Deps(archive_of(RECORDS), FakeEventLog(), clock.now, clock.sleep)


def sent_by(deps: Deps) -> Counter[Any]:
    assert isinstance(deps.log, FakeEventLog)
    return Counter(deps.log.records)


def test_a_job_is_run_and_described(deps: Deps) -> None:
    line = InvocationLine()

    answer = handle({**ALL_TIME, "replay_id": "mine"}, deps, line, "request-1", 840)

    assert answer["replays"] == [
        {
            "replay_id": "mine", "status": "done", "stop": None, "events_sent": 20, "changes_sent": 0,
            "records_read": 20, "unreadable": [], "failure": "",
        }
    ]  # fmt: skip
    assert (line.counts["replayed_events"], line.fields["replays"]) == (20, ["mine"])


def test_an_invocation_that_lambda_repeats_continues_its_job(deps: Deps) -> None:
    for _ in range(2):
        answer = handle(ALL_TIME, deps, InvocationLine(), "request-1", 840)

    assert answer["replays"][0]["replay_id"] == "request-1"
    assert sum(sent_by(deps).values()) == len(RECORDS)


def test_a_job_longer_than_an_invocation_is_ended_by_the_schedule(deps: Deps) -> None:
    lines = [InvocationLine() for _ in range(30)]
    answer = handle({**ALL_TIME, "rate": 2}, deps, lines[0], "request-1", RUNNER_STOPS_SECONDS + 2)
    runs = 1
    while answer["replays"][0]["status"] != "done":
        assert answer["replays"][0]["stop"] == "time_over"
        resume = {"jobs": ["resume_replays"]}
        answer = handle(resume, deps, lines[runs], f"request-{runs}", RUNNER_STOPS_SECONDS + 2)
        runs += 1

    assert runs > 2
    assert sent_by(deps) == expected_records(RECORDS, any_job())
    assert sum(line.counts["replayed_events"] for line in lines[:runs]) == len(RECORDS)


def any_job() -> Any:
    from event_analytics.replay_state import read_job

    return read_job(ALL_TIME, "any")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"job":{}}'])
def test_a_replay_whose_state_is_damaged_is_named_and_the_others_go_on(deps: Deps, body: bytes) -> None:
    handle({**ALL_TIME, "replay_id": "mine", "rate": 2}, deps, InvocationLine(), "r", RUNNER_STOPS_SECONDS + 2)
    assert isinstance(deps.objects, FakeObjectStore)
    deps.objects.objects[step_name("damaged", 3)] = body
    line = InvocationLine()

    answer = handle({"jobs": ["resume_replays"]}, deps, line, "request-2", 840)

    assert [(each["replay_id"], each["status"]) for each in answer["replays"]] == [("mine", "done")]
    assert [text.split(":")[0] for text in line.fields["unreadable_replays"]] == [step_name("damaged", 3)]
    assert line.counts["unreadable_objects"] == 1


def test_a_filtered_replay_that_lost_ids_waits_and_gets_no_step_each_time(deps: Deps) -> None:
    job = {**ALL_TIME, "rate": 2, "user_id": "u1"}
    handle({**job, "replay_id": "damaged"}, deps, InvocationLine(), "r", RUNNER_STOPS_SECONDS + 2)
    handle({**ALL_TIME, "replay_id": "mine", "rate": 2}, deps, InvocationLine(), "r", RUNNER_STOPS_SECONDS + 2)
    assert isinstance(deps.objects, FakeObjectStore)
    deps.objects.objects[step_name("damaged", 0)] = b"{"
    before = set(deps.objects.objects)

    answer = handle({"jobs": ["resume_replays"]}, deps, InvocationLine(), "request-2", 840)

    assert [each["replay_id"] for each in answer["replays"]] == ["mine"]
    assert {name for name in deps.objects.objects if "/damaged/" in name} == {n for n in before if "/damaged/" in n}


def test_nothing_to_resume_is_an_answer(deps: Deps) -> None:
    assert handle({"jobs": ["resume_replays"]}, deps, InvocationLine(), "request-1", 840) == {"replays": []}
    assert handle({"jobs": []}, deps, InvocationLine(), "request-1", 840) == {"replays": []}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [({"jobs": ["other"]}, "parameter_unknown"), ({"start": "x", "end": "y"}, "window_invalid"), ({}, "wrong_type")],
)
def test_a_payload_that_is_wrong_is_answered_with_its_reason(deps: Deps, payload: dict[str, Any], reason: str) -> None:
    line = InvocationLine()

    assert handle(payload, deps, line, "request-1", 840)["error"]["reason"] == reason
    assert line.fields["reason"] == reason
    assert isinstance(deps.objects, FakeObjectStore)
    assert not list(deps.objects.list("replays/"))


def test_settings_that_are_missing_are_named_together() -> None:
    with pytest.raises(SettingsMissing) as missing:
        ReplaySettings.from_env({})

    assert str(missing.value) == "not set: ARCHIVE_BUCKET, KAFKA_BOOTSTRAP"
