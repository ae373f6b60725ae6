"""Changes that no row can be made of become dead letters, and cost nobody else a fold. Over the real engine."""

import dataclasses
import json
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import structs

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import decode_stored_change
from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, DeadLetterWriter, LetterBody, read_letter
from event_analytics.ingest import item_of_event
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from event_analytics.operations import plan_delete, plan_update
from event_analytics.redrive import Selection, plan_redrive, redrive, select_letters
from event_analytics.validate import Acceptance
from functions.load import app as load
from functions.report import app as report
from tests.builders import ACCEPTED_US, a_lambda_batch
from tests.fakes import FakeEventLog, FakeObjectStore, FakeTopicOffsets

AT = "2026-09-21T14:13:19Z"
AFTER_30_DAYS_S = 31 * 86_400
# JSON that the API takes, and a number beyond what ClickHouse's merge of patches does.
POISON_PROPERTIES = f'{{"n":1{"0" * 400}}}'
POISON_PATCH = f'{{"properties":{POISON_PROPERTIES}}}'
MERGE_REFUSED = (36, "BAD_ARGUMENTS")


@dataclasses.dataclass
class Lake:
    """The functions `load` and `report` around a real store, with fakes beside it."""

    store: ClickHouseEventStore
    objects: FakeObjectStore = dataclasses.field(default_factory=FakeObjectStore)
    log: FakeEventLog = dataclasses.field(default_factory=FakeEventLog)
    sent: int = 0

    def record(self, value: bytes) -> KafkaRecord:
        self.sent += 1
        return KafkaRecord("any", 0, self.sent, ACCEPTED_US // 1_000, b"k", value)

    def event(self, identifier: str, properties: str = "{}") -> KafkaRecord:
        event = {"id": identifier, "user_id": "u", "conversation_id": f"c-{identifier}", "event_name": "e"}
        raw = json.dumps({**event, "timestamp": AT})[:-1] + f', "properties": {properties}}}'
        record = item_of_event(raw.encode(), 0, self._acceptance()).record
        assert record is not None
        return self.record(record.value)

    def update(self, identifier: str, raw: str) -> KafkaRecord:
        record = plan_update(identifier, raw.encode(), self._acceptance()).record
        assert record is not None
        return self.record(record.value)

    def delete(self, identifier: str) -> KafkaRecord:
        record = plan_delete(identifier, self._acceptance()).record
        assert record is not None
        return self.record(record.value)

    def _acceptance(self) -> Acceptance:
        return Acceptance(ACCEPTED_US + self.sent, os.urandom)

    def load(self, *records: KafkaRecord) -> InvocationLine:
        line = InvocationLine()
        deps = load.Deps(self.store, DeadLetterWriter(self.objects, self.log), uuid.uuid4().hex, lambda: ACCEPTED_US)
        load.handle(a_lambda_batch(records), deps, line)
        return line

    def next_minute(self, later_s: float = 0) -> Mapping[str, float]:
        """What the scheduled pass counts; `later_s`: how much later than now it believes to run."""
        line = InvocationLine()
        deps = report.Deps(self.store, self.objects, self.log, lambda: time.time() + later_s, FakeTopicOffsets(), 0)
        report.handle({"jobs": ["fold_pending"]}, deps, line)
        return line.counts

    def letters(self) -> list[LetterBody]:
        return [
            read_letter(body) for name, body in self.objects.objects.items() if name.startswith(DEAD_LETTERS_PREFIX)
        ]

    def redrive(self) -> None:
        steps = [plan_redrive(name, letter) for name, letter in select_letters(self.objects, Selection())]
        going = FakeEventLog()
        redrive(self.objects, going, steps)
        self.load(*(self.record(record.value) for record in going.records))

    def row(self, identifier: str) -> dict[str, Any] | None:
        sql = "SELECT error, properties, output FROM events FINAL WHERE id = {id:UUID}"
        rows = self.store.select(sql, {"id": identifier})
        return rows[0] if rows else None


@pytest.fixture
def lake(store: ClickHouseEventStore) -> Lake:
    for table in ("events", "event_changes", "event_embeddings", "pending_changes"):
        store.command(f"TRUNCATE TABLE {table}")
    return Lake(store)


def an_id() -> str:
    return str(uuid.uuid4())


UPDATES = (
    '{"error":"late","latency_ms":7,"properties":{"a":null,"b":{"c":[1,"\\u00fc"]}}}',
    '{"properties":null,"output":null,"conversation_metadata":{"k":1}}',
    '{"input_embeddings":[0.5,-2.25],"output_embeddings":null,"input":"\\"quoted\\"\\n"}',
)


def test_a_change_whose_event_does_not_come_is_one_letter_after_30_days(lake: Lake) -> None:
    lost, early = an_id(), an_id()
    sent = [lake.update(lost, raw) for raw in UPDATES] + [lake.delete(lost)]
    lake.load(*sent, lake.update(early, '{"error":"x"}'), lake.event(early))

    assert lake.next_minute(later_s=29 * 86_400)["dead_letters"] == 0
    counts = [lake.next_minute(AFTER_30_DAYS_S) for _ in range(2)]

    assert [each["dead_letters"] for each in counts] == [4, 0]
    assert [each["pending_ids"] for each in counts] == [1, 0]
    letters = sorted(lake.letters(), key=lambda letter: letter.offset)
    assert [decode_stored_change(letter.value or b"") for letter in letters] == [
        decode_stored_change(record.value or b"") for record in sent
    ]
    assert {(one.reason, one.topic, one.epoch, one.key) for one in letters} == {
        ("no_such_event", "event-changes", "change-log", lost.encode())
    }
    assert [record.topic for record in lake.log.records] == ["dead-letters"] * 4


def test_letters_that_were_written_before_a_crash_are_not_written_twice(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load(lake.update(an_id(), '{"error":"x"}'))
    lake.log.refuse_after = 0
    with pytest.raises(report.JobsFailed):
        lake.next_minute(AFTER_30_DAYS_S)
    lake.log.refuse_after = None

    assert lake.next_minute(AFTER_30_DAYS_S)["dead_letters"] == 1
    assert len(lake.letters()) == 1


def test_an_event_that_comes_after_all_takes_its_changes_once_they_are_sent_again(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.update(identifier, '{"error":"x"}'))
    lake.next_minute(AFTER_30_DAYS_S)

    lake.load(lake.event(identifier))
    lake.next_minute()
    assert lake.row(identifier) == {"error": "", "properties": "{}", "output": None}
    lake.redrive()

    assert lake.row(identifier) == {"error": "x", "properties": "{}", "output": None}
    assert lake.letters() == []


def test_an_event_that_comes_after_all_takes_its_changes_with_the_next_one(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.update(identifier, '{"error":"x"}'))
    lake.next_minute(AFTER_30_DAYS_S)

    lake.load(lake.event(identifier), lake.update(identifier, '{"output":"y"}'))

    assert lake.row(identifier) == {"error": "x", "properties": "{}", "output": "y"}


def test_a_letter_that_is_sent_again_too_early_waits_for_its_event_as_if_it_were_new(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.update(identifier, '{"error":"x"}'))
    lake.next_minute(AFTER_30_DAYS_S)
    lake.redrive()

    assert lake.next_minute()["pending_ids"] == 1
    lake.load(lake.event(identifier))
    lake.next_minute()

    assert lake.row(identifier) == {"error": "x", "properties": "{}", "output": None}


@pytest.mark.parametrize(
    ("properties", "patch"), [(POISON_PROPERTIES, '{"properties":{"a":1}}'), ('{"n":1}', POISON_PATCH)]
)
def test_a_change_that_cannot_be_folded_is_a_letter_and_the_others_fold(
    lake: Lake, properties: str, patch: str
) -> None:
    bad, good = an_id(), an_id()
    lake.load(lake.event(bad, properties), lake.event(good))
    poison = lake.update(bad, patch)
    batch = [
        lake.update(good, '{"properties":{"g":1}}'),
        lake.update(bad, '{"error":"x"}'),
        poison,
        lake.update(bad, '{"output":"y"}'),
    ]

    assert lake.load(*batch).counts["dead_letters"] == 1
    lake.load(*batch)  # once more, as after a lost answer

    assert lake.row(good) == {"error": "", "properties": '{"g":1}', "output": None}
    assert lake.row(bad) == {"error": "x", "properties": properties, "output": "y"}
    (letter,) = lake.letters()
    assert (letter.reason, letter.error_code, letter.error_name) == ("fold_rejected", *MERGE_REFUSED)
    assert decode_stored_change(letter.value or b"") == decode_stored_change(poison.value or b"")
    assert [lake.next_minute()[name] for name in ("folded_ids", "pending_ids")] == [1, 0]


@pytest.mark.parametrize("properties", ['"text"', "[1]", "7", '"{\\"a\\""'])
def test_properties_of_another_producer_that_are_no_object_cost_their_patches_only(lake: Lake, properties: str) -> None:
    identifier = an_id()
    event = lake.event(identifier)
    value = (event.value or b"").replace(b'"properties":{}', f'"properties":{properties}'.encode())
    lake.load(structs.replace(event, value=value))
    assert lake.row(identifier) is not None

    line = lake.load(lake.update(identifier, '{"properties":{"a":1}}'), lake.update(identifier, '{"error":"x"}'))

    assert line.counts["dead_letters"] == 1
    assert (lake.row(identifier) or {})["error"] == "x"


def test_a_patch_of_another_producer_that_is_no_object_is_a_letter_that_holds_it(lake: Lake) -> None:
    identifier = an_id()
    update = lake.update(identifier, '{"properties":{}}')
    value = (update.value or b"").replace(b'"patch":{}', b'"patch":"{\\"a\\""')
    lake.load(lake.event(identifier), structs.replace(update, value=value))

    (letter,) = lake.letters()
    assert decode_stored_change(letter.value or b"") == decode_stored_change(value)


def test_a_change_that_waited_and_then_cannot_be_folded_is_a_letter_within_the_minute(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.update(identifier, '{"properties":{"a":1}}'), lake.update(identifier, '{"error":"x"}'))
    lake.load(lake.event(identifier, POISON_PROPERTIES))

    assert [lake.next_minute()["dead_letters"] for _ in range(2)] == [1, 0]
    assert (lake.row(identifier) or {})["error"] == "x"


def test_a_delete_makes_a_patch_that_cannot_be_folded_meaningless(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.event(identifier))

    lake.load(lake.update(identifier, POISON_PATCH), lake.delete(identifier))

    assert lake.row(identifier) is None
    assert lake.letters() == []


def test_a_deleted_event_keeps_its_key_and_nothing_of_its_content(lake: Lake) -> None:
    identifier = an_id()
    lake.load(
        lake.event(identifier, '{"secret":1}'), lake.update(identifier, '{"output":"secret","input_embeddings":[1]}')
    )

    lake.load(lake.delete(identifier))
    for table in ("events", "event_embeddings"):
        lake.store.command(f"OPTIMIZE TABLE {table} FINAL")

    sql = "SELECT user_id, conversation_id, properties, output, is_deleted FROM events WHERE id = {id:UUID}"
    assert lake.store.select(sql, {"id": identifier}) == [
        {"user_id": "u", "conversation_id": f"c-{identifier}", "properties": "", "output": None, "is_deleted": 1}
    ]
    sql = "SELECT input_embeddings, is_deleted FROM event_embeddings WHERE id = {id:UUID}"
    assert lake.store.select(sql, {"id": identifier}) == [{"input_embeddings": [], "is_deleted": 1}]


def test_a_batch_of_poison_only_is_letters_only(lake: Lake) -> None:
    ids = [an_id() for _ in range(25)]  # 49 refusals with a code that nobody knows
    lake.load(*(lake.event(identifier) for identifier in ids))

    line = lake.load(*(lake.update(each, POISON_PATCH) for each in ids))

    assert line.counts["dead_letters"] == len(lake.letters()) == 25
    assert lake.next_minute()["pending_ids"] == 0


def test_a_letter_whose_cause_is_mended_folds_when_it_is_sent_again(lake: Lake) -> None:
    identifier = an_id()
    lake.load(lake.event(identifier, POISON_PROPERTIES))
    lake.load(lake.update(identifier, '{"properties":{"a":1}}'))
    assert len(lake.letters()) == 1

    lake.load(lake.update(identifier, '{"properties":null}'))
    lake.redrive()

    assert lake.letters() == []
    assert (lake.row(identifier) or {})["properties"] == "{}"
