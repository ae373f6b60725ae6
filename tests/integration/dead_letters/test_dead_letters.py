"""Poison straight on the topic: good neighbours load, the poison is kept, shown and sent again."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.dead_letters import LetterBody, read_letter
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
