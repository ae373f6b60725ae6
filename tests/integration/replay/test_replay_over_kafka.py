"""A replay on the embedded endpoint and broker: what is in S3 arrives on the topic, byte for byte, once.

Each test has a bucket of its own, so that it knows the whole archive.
"""

import json
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.archive import plan_archive
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.record_times import ACCEPTED_MS
from event_analytics.replay_journal import ReplayJournal
from event_analytics.replay_run import Runner, Stop, resume_replays
from event_analytics.replay_state import Status, read_job
from event_analytics.routing import EVENTS_REPLAY_TOPIC, Record, partition_of
from local_runtime import tansu
from scripts import archive as archive_script
from scripts import replay as replay_script
from scripts.places import Place
from tests.unit.event_analytics.replay_archive import (
    START_MS,
    a_change,
    a_create,
    after,
    cut_with_overlaps,
    expected_records,
    instant,
)

REPOSITORY = Path(__file__).resolve().parents[3]
PARTITIONS = 8
HOUR_MS = 3_600_000


@dataclass
class Archive:
    """A bucket with a known history, and the broker beside it."""

    place: Place
    objects: S3ObjectStore
    log: KafkaEventLog
    records: list[KafkaRecord]

    def window(self, **more: Any) -> dict[str, Any]:
        return {"start": instant(START_MS), "end": instant(START_MS + 3 * HOUR_MS), **more}

    def arrived(self, expected: int) -> list[Any]:
        """What of this history the topic holds; waits for `expected` records, and then for one too many."""
        values = {record.value for record in self.records}
        found: list[Any] = []
        with closing(KafkaConsumer(bootstrap_servers=self.place.bootstrap, consumer_timeout_ms=500)) as consumer:
            partitions = [TopicPartition(EVENTS_REPLAY_TOPIC, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            deadline = time.monotonic() + 20
            while len(found) < expected and time.monotonic() < deadline:
                found += [message for message in consumer if message.value in values]
            return found + [message for message in consumer if message.value in values]


def a_history(seed: int, user: str) -> list[KafkaRecord]:
    """Creates on two partitions and changes on one, over three hours, as Kafka's offsets order them."""
    rng = random.Random(seed)
    first_id = uuid.uuid4().int >> 8  # other tests replay other events over the same topic
    records = []
    for partition in range(2):
        moments = sorted(rng.randrange(3 * HOUR_MS) for _ in range(150))
        for offset, moment in enumerate(moments):
            number = partition * 1_000 + offset
            who = {"user_id": f"{user}-{number % 7}", "output": "é" * rng.randrange(200)}
            records.append(a_create(offset, first_id + number, START_MS + moment, partition=partition, **who))
    changes = [a_change(offset, first_id + rng.randrange(150), START_MS + offset * 170_000) for offset in range(60)]
    return records + changes


@pytest.fixture
def archive(stack: Any) -> Iterator[Archive]:
    connection = stack.connection
    tansu.create_topics(connection.kafka, {EVENTS_REPLAY_TOPIC: PARTITIONS})
    bucket = f"replay-{uuid.uuid4().hex[:12]}"
    place = Place(bucket, connection.aws_endpoint, connection.kafka, "plaintext")
    records = a_history(5, bucket)
    with place.objects() as objects, place.log("tests") as log:
        client = aws_session(connection.aws_endpoint).client("s3")
        client.create_bucket(Bucket=bucket)
        client.close()
        for topic, partition in sorted({(record.topic, record.partition) for record in records}):
            lane = [record for record in records if (record.topic, record.partition) == (topic, partition)]
            for batch in cut_with_overlaps(lane, random.Random(3)):
                for archived in plan_archive(batch, "e1"):
                    objects.put_new(archived.name, archived.body)
        yield Archive(place, objects, log, records)


def as_sent(message: Any) -> Record:
    accepted_ms = int(dict(message.headers)[ACCEPTED_MS])
    return Record(message.topic, message.key, message.value, accepted_ms)


def a_runner(archive: Archive, **fields: Any) -> Runner:
    return Runner(archive.objects, archive.log, time.time, time.sleep, fields.pop("holder", "test"), **fields)


@pytest.mark.parametrize("asked", [{}, {"user_id": 3}])
def test_what_arrives_is_what_a_filter_over_the_archive_gives(archive: Archive, asked: dict[str, Any]) -> None:
    window = archive.window(**{name: f"{archive.place.bucket}-{number}" for name, number in asked.items()})
    job = read_job(window, uuid.uuid4().hex)
    expected = expected_records(archive.records, job)

    result = a_runner(archive).start(job)
    messages = archive.arrived(expected.total())

    assert result.state.status is Status.DONE
    assert Counter(map(as_sent, messages)) == expected
    assert all(message.partition == partition_of(EVENTS_REPLAY_TOPIC, message.key, PARTITIONS) for message in messages)


def test_a_stopped_replay_is_ended_by_the_next_runner_and_sends_each_record_once(archive: Archive) -> None:
    job = read_job(archive.window(rate=2_000), uuid.uuid4().hex)
    expected = expected_records(archive.records, job)

    stopped = a_runner(archive, is_over=after(20)).start(job)
    deadline = time.time() + 60
    (resumed,) = resume_replays(archive.objects, archive.log, deadline, time.time, time.sleep, holder="schedule")

    assert stopped.stop is Stop.TIME_OVER
    assert 0 < resumed.sent["events_sent"] + resumed.sent["changes_sent"] < expected.total()
    assert Counter(map(as_sent, archive.arrived(expected.total()))) == expected
    assert list(ReplayJournal(archive.objects).running(pytest.fail)) == []


def test_the_script_replays_with_a_dry_run_first_and_an_interruption_in_between(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    window = archive.window()
    expected = expected_records(archive.records, read_job(window, "any"))
    job = read_job(window, uuid.uuid4().hex, is_scheduled=False)

    assert replay_script.rehearse(archive.objects, archive.log, job) == 0
    assert f"would send {300:,} events" in capsys.readouterr().out
    a_runner(archive, is_over=after(3)).start(job)
    given = replay_script._parser().parse_args(["--start", window["start"], "--end", window["end"]])
    state = replay_script.find_state(archive.objects, given)
    assert state.job.replay_id == job.replay_id
    assert replay_script.run_replay(archive.objects, archive.log, state) == 0

    printed = capsys.readouterr().out
    assert "continuing replay" in printed
    assert f"replay {job.replay_id} is done" in printed
    assert Counter(map(as_sent, archive.arrived(expected.total()))) == expected


def test_verify_finds_nothing_missing_until_an_object_is_gone(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    coverages = archive_script.verify(archive.objects, None, None)
    assert archive_script.report(coverages, is_json=True) == 0
    lanes = json.loads(capsys.readouterr().out)["lanes"]
    assert [(lane["topic"], lane["partition"], lane["records"], lane["gaps"]) for lane in lanes] == [
        ("event-changes", 0, 60, []),
        ("events", 0, 150, []),
        ("events", 1, 150, []),
    ]

    held = list(archive_script.archived_objects(archive.objects, ["events"], None, None))
    for each in held:
        if each.key.partition == 1 and each.key.first_offset <= 70 <= each.key.last_offset:
            archive.objects.delete(each.name)
    lost = archive_script.verify(archive.objects, None, None)

    assert archive_script.report(lost, is_json=False) == 1
    assert "GAP " in capsys.readouterr().out
    (gap,) = lost[2].gaps
    assert gap.first <= 70 <= gap.last


def test_verify_of_a_window_looks_for_a_missing_offset_in_other_hours(archive: Archive) -> None:
    spooled = [a_create(at, at, START_MS + (0 if at == 5 else 30 * HOUR_MS), partition=7) for at in range(9)]
    for archived in plan_archive(spooled, "e1"):
        archive.objects.put_new(archived.name, archived.body)
    start = archive_script.read_instant(instant(START_MS + 30 * HOUR_MS))

    (coverage,) = archive_script.verify(archive.objects, start, None)

    assert (coverage.lane.partition, coverage.records, coverage.gaps) == (7, 8, [])


@pytest.mark.parametrize("module", ["archive", "replay", "rebuild"])
def test_a_script_says_how_it_is_used(module: str) -> None:
    command = [sys.executable, "-m", f"scripts.{module}", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Exit codes: 0" in done.stdout
