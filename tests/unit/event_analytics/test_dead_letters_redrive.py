"""Dead letters -> records that go again, and letters that are moved."""

import dataclasses
import json

import pytest

from event_analytics.dead_letters import DeadLetterWriter, DeadRecord, letter_name, parse_letter_name
from event_analytics.errors import LogUnavailable
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.redrive import Selection, plan_redrive, redrive, redriven_name, select_letters
from scripts.dead_letters import EXIT_SOME_LEFT, list_letters, redrive_letters, show_letter
from tests.builders import ACCEPTED_MS, a_record
from tests.fakes import FakeEventLog, FakeObjectStore

EVERY = Selection()


@dataclasses.dataclass
class Letters:
    """Two undecodable records and a rejected one of two topics, the last given up a second later."""

    objects: FakeObjectStore = dataclasses.field(default_factory=FakeObjectStore)
    log: FakeEventLog = dataclasses.field(default_factory=FakeEventLog)

    def __post_init__(self) -> None:
        self.write(DeadRecord(a_record(10, value=b"{10"), "record_undecodable", "d"), 1_000)
        self.write(DeadRecord(a_record(9, key=None, value=b"{9"), "record_undecodable", "d"), 1_000)
        self.write(
            DeadRecord(a_record(3, topic="event-changes", value=b"{3"), "store_rejected", "d", 36, "X", True), 2_000
        )

    def write(self, dead: DeadRecord, dead_ms: int) -> None:
        DeadLetterWriter(self.objects, FakeEventLog()).write([dead], "e1", dead_ms)

    def offsets(self, selection: Selection) -> list[int]:
        return [letter.offset for _, letter in select_letters(self.objects, selection)]

    def name(self, offset: int) -> str:
        return next(name for name, letter in select_letters(self.objects, EVERY) if letter.offset == offset)


@pytest.fixture
def letters() -> Letters:
    return Letters()


def test_letters_come_in_the_order_in_which_their_topics_had_the_records(letters: Letters) -> None:
    assert letters.offsets(EVERY) == [3, 9, 10]


def test_selects_by_reason_time_and_name_and_by_all_of_them(letters: Letters) -> None:
    assert letters.offsets(Selection(reason="record_undecodable")) == [9, 10]
    assert letters.offsets(Selection(since_ms=1_001)) == [3]
    assert letters.offsets(Selection(name=letters.name(9))) == [9]
    assert letters.offsets(Selection(reason="store_rejected", since_ms=1_000, name=letters.name(9))) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"reason":"r"}', b"["])
def test_an_object_that_is_no_letter_is_named_and_ends_no_listing_and_no_redrive(
    letters: Letters, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    damaged = letters.name(9)
    letters.objects.objects[damaged] = body
    named: list[str] = []

    assert [letter.offset for _, letter in select_letters(letters.objects, EVERY, named.append)] == [3, 10]
    assert named == [damaged]
    assert list_letters(letters.objects, EVERY) == 0
    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False) == EXIT_SOME_LEFT
    assert capsys.readouterr().err.count(damaged) == 2
    assert len(letters.log.records) == 2
    assert letters.objects.objects[damaged] == body


def test_a_letter_whose_base64_is_broken_is_no_letter(letters: Letters) -> None:
    damaged = letters.name(9)
    letter = json.loads(letters.objects.objects[damaged])
    letters.objects.objects[damaged] = json.dumps({**letter, "value_base64": "x"}).encode()

    assert letters.offsets(EVERY) == [3, 10]


def test_other_objects_under_the_prefix_are_no_letters(letters: Letters) -> None:
    letters.objects.put_new("dead-letters/v1/README", b"hello")

    assert letters.offsets(EVERY) == [3, 9, 10]


def test_the_original_goes_to_the_replay_lane_with_its_key_value_and_time(letters: Letters) -> None:
    steps = [plan_redrive(name, letter) for name, letter in select_letters(letters.objects, EVERY)]
    redrive(letters.objects, letters.log, steps)

    assert [record.topic for record in letters.log.records] == ["events-replay"] * 3
    assert [(record.key, record.value) for record in letters.log.records] == [
        (b"u1", b"{3"), (b"", b"{9"), (b"u1", b"{10"),
    ]  # fmt: skip
    assert {record.timestamp_ms for record in letters.log.records} == {ACCEPTED_MS}


def test_a_letter_is_moved_once_it_is_acknowledged_and_only_then(letters: Letters) -> None:
    letters.log.refuse_after = 1
    steps = [plan_redrive(name, letter) for name, letter in select_letters(letters.objects, EVERY)]
    bodies = dict(letters.objects.objects)

    (done,) = redrive(letters.objects, letters.log, steps)

    assert letters.offsets(EVERY) == [9, 10]
    assert letters.objects.objects[done.moved_to] == bodies[done.letter]


def test_a_redriven_letter_keeps_its_name_under_another_prefix() -> None:
    name = "dead-letters/v1/topic=events/partition=003/epoch=e/7-0011aabb.json"

    assert redriven_name(name) == "dead-letters-redriven/v1/topic=events/partition=003/epoch=e/7-0011aabb.json"
    assert parse_letter_name(redriven_name(name))._replace(is_redriven=False) == parse_letter_name(name)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="no dead letter"):
        redriven_name("raw/v1/x")


def test_a_dry_run_says_what_would_go_and_sends_nothing(letters: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=True) == 0

    assert capsys.readouterr().out.splitlines() == [f"would redrive\t{letters.name(offset)}" for offset in (3, 9, 10)]
    assert letters.log.records == []
    assert letters.offsets(EVERY) == [3, 9, 10]


def test_redriving_again_finds_nothing(letters: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False) == 0
    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False) == 0

    assert len(letters.log.records) == 3
    assert capsys.readouterr().err.splitlines() == ["3 redriven, 0 left", "0 redriven, 0 left"]


def test_more_letters_than_are_held_at_a_time_all_go(letters: Letters) -> None:
    for offset in range(100, 230):
        letters.write(DeadRecord(a_record(offset), "record_undecodable", "d"), 1_000)

    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False) == 0

    assert len(letters.log.records) == 133
    assert letters.offsets(EVERY) == []


def test_what_is_left_is_named_and_the_exit_code_is_3(letters: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    letters.write(DeadRecord(a_record(11, value=None), "record_undecodable", "d"), 1_000)
    letters.log.refuse_after = 2
    left = [letters.name(10), letters.name(11)]

    assert redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False) == 3

    printed = capsys.readouterr()
    assert printed.out.splitlines()[2:] == [
        f"left: not acknowledged\t{left[0]}", f"left: the record had no value\t{left[1]}",
    ]  # fmt: skip
    assert printed.err == "2 redriven, 2 left\n"
    assert letters.offsets(EVERY) == [10, 11]


def test_without_a_broker_nothing_is_moved(letters: Letters) -> None:
    letters.log.is_down = True

    with pytest.raises(LogUnavailable):
        redrive_letters(letters.objects, letters.log, EVERY, is_dry_run=False)

    assert letters.offsets(EVERY) == [3, 9, 10]


def test_lists_one_line_per_letter_and_marks_what_nobody_has_classified(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list_letters(letters.objects, EVERY) == 0

    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split("\t") == [
        letters.name(3), "store_rejected", "36 X needs_classification", "1970-01-01T00:00:02+00:00",
    ]  # fmt: skip
    assert printed.out.splitlines()[1].split("\t")[2] == "- -"
    assert printed.err == "3 dead letters\n"


def test_shows_a_letter_with_its_bytes_as_text_where_they_are_text(
    letters: Letters, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.write(DeadRecord(KafkaRecord("events", 0, 99, 1, b"\xff", b'{"a": 1'), "record_undecodable", "d"), 1)

    assert show_letter(letters.objects, letters.name(99)) == 0

    printed = capsys.readouterr().out
    assert '"key": null' in printed
    assert r'"value": "{\"a\": 1"' in printed
    assert '"key_base64": "/w=="' in printed


def test_a_letter_that_is_not_there_is_exit_code_1(letters: Letters, capsys: pytest.CaptureFixture[str]) -> None:
    name = letter_name(parse_letter_name(letters.name(9))._replace(offset=1_000))  # type: ignore[union-attr]

    assert show_letter(letters.objects, name) == 1

    assert "no dead letter" in capsys.readouterr().err
