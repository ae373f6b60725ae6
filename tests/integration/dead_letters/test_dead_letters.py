"""Poison straight on the topic: good neighbours load, the poison is kept, shown and sent again."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.archive import read_object
from event_analytics.archive_keys import RAW_PREFIX, parse_key
from event_analytics.dead_letters import LetterBody, hour_entry, read_letter
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.pipeline_state import read_objects_state
from event_analytics.routing import DEAD_LETTERS_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC, Record
from local_runtime import tansu
from scripts.dead_letters import main
from tests.builders import an_event
from tests.conftest import EmbeddedStack

WAIT_SECONDS = 30.0


@dataclass
class Pipeline:
    """The running stack, as somebody sees it who may write to the topics. Events of one test share a conversation."""

    stack: EmbeddedStack
    store: ClickHouseEventStore
    log: KafkaEventLog
    capture: pytest.CaptureFixture[str]
    conversation_id: str

    def event(self, **fields: object) -> bytes:
        event = an_event(id=str(uuid.uuid4()), conversation_id=self.conversation_id)
        event |= {"timestamp": "2026-09-21T14:13:20Z", "accepted_us": time.time_ns() // 1_000}
        return json.dumps({**event, **fields}).encode()

    def send(self, values: list[bytes], key: bytes = b"u1") -> list[Record]:
        """One key, so one partition: the poison stands between its neighbours."""
        records = [Record(EVENTS_TOPIC, key, value, time.time_ns() // 1_000_000) for value in values]
        assert self.log.append(records) == [True] * len(records)
        return records

    def archived(self) -> Iterator[list[KafkaRecord]]:
        """What each archived object of the topic holds."""
        connection = self.stack.connection
        objects = S3ObjectStore(connection.archive_bucket, aws_session(connection.aws_endpoint).client("s3"))
        for entry in objects.list(f"{RAW_PREFIX}topic={EVENTS_TOPIC}/"):
            key, body = parse_key(entry.name), objects.get(entry.name)
            if key is not None and body is not None:
                yield list(read_object(key, body))

    def visible(self) -> int:
        sql = "SELECT count() AS n FROM events FINAL WHERE conversation_id = {c:String}"
        return int(self.store.select(sql, {"c": self.conversation_id})[0]["n"])

    def command(self, *arguments: str) -> tuple[int, str]:
        """Exit code and standard output of `scripts.dead_letters`."""
        self.capture.readouterr()
        code = main(arguments)
        return code, self.capture.readouterr().out

    def letters(self) -> list[str]:
        """Names that the command lists."""
        return [line.split("\t")[0] for line in self.command("list")[1].splitlines()]

    def letter_of(self, value: bytes) -> tuple[str, LetterBody]:
        """Name and body of the letter of a record."""
        for name in self.letters():
            shown = json.loads(self.command("show", name)[1])
            if base64.b64decode(shown["value_base64"] or "") == value:
                return name, read_letter(json.dumps(shown).encode())
        raise AssertionError(f"no dead letter of {value[:80]!r}")

    def on_topic(self, topic: str, is_meant: Callable[[ConsumerRecord], bool]) -> list[ConsumerRecord]:
        """Records of a topic, once one is meant."""
        consumer = KafkaConsumer(bootstrap_servers=self.stack.connection.kafka, enable_auto_commit=False)
        try:
            consumer.assign([TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())])
            consumer.seek_to_beginning()
            found: list[ConsumerRecord] = []
            deadline = time.monotonic() + WAIT_SECONDS
            while not found and time.monotonic() < deadline:
                for records in consumer.poll(500).values():
                    found += filter(is_meant, records)
            return found
        finally:
            consumer.close()


@pytest.fixture
def pipeline(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Pipeline]:
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(stack.settings.state_dir))
    tansu.create_topics(stack.connection.kafka, {EVENTS_REPLAY_TOPIC: 8, DEAD_LETTERS_TOPIC: 1})
    log = KafkaEventLog(stack.connection.kafka, "plaintext", client_id="dead-letters-test")
    store = ClickHouseEventStore(stack.connection.clickhouse_url)
    yield Pipeline(stack, store, log, capsys, uuid.uuid4().hex)
    log.close()


POISON = {
    "no JSON": (b"\xff{ %b", "record_undecodable", None),
    "nested too deep": (
        b'{"id":"%b","properties":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "record_undecodable",
        None,
    ),
    "an event of 1900": (
        b'{"id":"%b","user_id":"u1","event_name":"e","timestamp":"1900-01-01T00:00:00Z","accepted_us":1}',
        "record_undecodable",
        None,
    ),
    "an event of 2200": (
        b'{"id":"%b","user_id":"u1","event_name":"e","timestamp":"2200-01-01T00:00:00Z","accepted_us":1}',
        "record_undecodable",
        None,
    ),
    "accepted when no fold could count it": (
        b'{"id":"%b","user_id":"u1","event_name":"e","timestamp":"2026-09-21T14:13:20Z","accepted_us":18446744073709551615}',
        "record_undecodable",
        None,
    ),
    "a field given twice": (
        b'{"id":"%b","event_name":"e","event_name":"f","timestamp":"2026-09-21T14:13:20Z","accepted_us":1}',
        "store_rejected",
        117,
    ),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_between_good_records_costs_them_nothing_and_is_kept_twice(pipeline: Pipeline, kind: str) -> None:
    template, reason, code = POISON[kind]
    poison = template.replace(b"%b", str(uuid.uuid4()).encode())
    sent = pipeline.send([pipeline.event(), poison, pipeline.event()])[1]
    pipeline.stack.wait_until_delivered()

    assert pipeline.visible() == 2
    name, letter = pipeline.letter_of(poison)
    assert (letter.reason, letter.error_code, letter.topic) == (reason, code, EVENTS_TOPIC)
    assert (letter.key, letter.timestamp_ms, letter.object) == (sent.key, sent.timestamp_ms, name)
    copies = pipeline.on_topic(DEAD_LETTERS_TOPIC, lambda record: name.encode() in record.value)
    assert {read_letter(copy.value).value for copy in copies} == {poison}
    assert {copy.key for copy in copies} == {sent.key}


@pytest.mark.parametrize("timestamp_ms", [2**62, 253_402_300_800_000, 0])
def test_a_kafka_time_that_no_archived_name_can_say_stops_neither_consumer(
    pipeline: Pipeline, timestamp_ms: int
) -> None:
    odd = pipeline.event()
    now_ms = time.time_ns() // 1_000_000
    records = [Record(EVENTS_TOPIC, b"u1", value, at) for value, at in [
        (pipeline.event(), now_ms), (odd, timestamp_ms), (pipeline.event(), now_ms)
    ]]  # fmt: skip
    assert pipeline.log.append(records) == [True] * 3
    pipeline.stack.wait_until_delivered()

    assert pipeline.visible() == 3
    found = [record for archived in pipeline.archived() for record in archived if record.value == odd]
    assert [record.timestamp_ms for record in found] == [timestamp_ms]


def test_the_first_and_the_last_hour_that_rows_can_hold_are_loaded_and_marked(pipeline: Pipeline) -> None:
    instants = ["1970-01-01T00:00:00Z", "2106-02-07T05:59:59.999Z"]
    pipeline.send([pipeline.event(timestamp=instant) for instant in instants])
    pipeline.stack.wait_until_delivered()

    rows = pipeline.store.select(
        "SELECT toString(timestamp) AS at, toUnixTimestamp(toStartOfHour(timestamp)) AS hour FROM events FINAL "
        "WHERE conversation_id = {c:String} ORDER BY at",
        {"c": pipeline.conversation_id},
    )
    assert [row["at"] for row in rows] == ["1970-01-01 00:00:00.000", "2106-02-07 05:59:59.999"]
    hours = [row["hour"] for row in rows]
    marked = pipeline.store.select(
        "SELECT DISTINCT toUnixTimestamp(hour) AS hour FROM hour_marks WHERE hour IN {hours:Array(UInt32)}",
        {"hours": hours},
    )
    assert sorted(row["hour"] for row in marked) == hours == [0, 2**32 // 3_600 * 3_600 - 3_600]


def test_what_was_refused_loads_after_the_cause_is_mended_and_it_is_redriven(pipeline: Pipeline) -> None:
    marker = f"not_{pipeline.conversation_id}"
    pipeline.store.command(f"ALTER TABLE events ADD CONSTRAINT {marker} CHECK event_name != '{marker}'")
    try:
        refused = pipeline.event(event_name=marker)
        sent = pipeline.send([pipeline.event(), refused])[1]
        pipeline.stack.wait_until_delivered()
        name, letter = pipeline.letter_of(refused)

        assert (letter.error_code, letter.error_name, pipeline.visible()) == (469, "VIOLATED_CONSTRAINT", 1)
    finally:
        pipeline.store.command(f"ALTER TABLE events DROP CONSTRAINT {marker}")

    assert pipeline.command("redrive", "--name", name, "--dry-run") == (0, f"would redrive\t{name}\n")
    assert name in pipeline.letters()
    assert pipeline.command("redrive", "--name", name) == (0, f"redriven\t{name}\n")
    assert name not in pipeline.letters()
    (again,) = pipeline.on_topic(EVENTS_REPLAY_TOPIC, lambda record: record.value == refused)
    assert (again.key, again.timestamp) == (sent.key, sent.timestamp_ms)
    pipeline.stack.wait_until_delivered()
    assert pipeline.visible() == 2


def test_letters_of_today_are_counted_and_none_of_before(pipeline: Pipeline) -> None:
    connection = pipeline.stack.connection
    objects = S3ObjectStore(connection.archive_bucket, aws_session(connection.aws_endpoint).client("s3"))
    before = read_objects_state(objects, datetime.now(UTC)).dead_letters_24h
    for hours in (25, 26, 49):
        for offset in range(5):
            dead_ms = int((time.time() - hours * 3_600) * 1_000)
            objects.put_new(hour_entry(f"topic=a/partition=000/epoch=e/{offset}-00000000.json", dead_ms), b"")
    pipeline.send(
        [pipeline.event(), b"{" + pipeline.conversation_id.encode(), b"]" + pipeline.conversation_id.encode()]
    )
    pipeline.stack.wait_until_delivered()

    assert read_objects_state(objects, datetime.now(UTC)).dead_letters_24h == before + 2


def test_a_letter_that_is_not_there_is_said_so(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    missing = "dead-letters/v1/topic=events/partition=000/epoch=none/0-00000000.json"

    assert main(["redrive", "--name", missing]) == main(["show", missing]) == 1

    assert capsys.readouterr().err.count("no dead letter") == 2


def test_on_aws_a_redrive_needs_to_know_the_brokers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--bucket", "b", "redrive"])

    assert ended.value.code == 2
    assert "--bootstrap" in capsys.readouterr().err


def test_without_a_stack_it_says_how_to_start_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(tmp_path_factory.mktemp("none")))

    assert main(["list"]) == 1

    assert "make up" in capsys.readouterr().err
