"""Every way by which a record may come again leaves out what was erased, and says what it has left out."""

import json
from collections.abc import Sequence

import pytest

from event_analytics.dead_letters import DeadLetterWriter, DeadRecord
from event_analytics.erasure import Erasure, hash_user
from event_analytics.erasure_index import write_part
from event_analytics.observability import InvocationLine
from event_analytics.redrive import Selection, plan_redrive, redrive, select_letters
from event_analytics.routing import Record
from event_analytics.spool import encode_spool, spool_name
from functions.archive import app as archive
from functions.replay import app as replay
from functions.report import app as report
from tests.builders import a_lambda_batch
from tests.fakes import FakeEventLog, FakeEventStore, FakeObjectStore, FakeTopicOffsets
from tests.unit.event_analytics.replay_archive import ALL_TIME, START_MS, a_create, archive_of

ALICE = Erasure(hash_user("alice"), START_MS * 1_000)
RECORDS = [a_create(0, 1, START_MS, user_id="alice"), a_create(1, 2, START_MS, user_id="bob")]


def in_force(objects: FakeObjectStore) -> FakeObjectStore:
    """The same bucket, in which alice is erased."""
    write_part(objects, "run1", START_MS * 1_000, {ALICE: ()})
    return objects


def users_of(log: FakeEventLog) -> list[str]:
    return [json.loads(record.value)["user_id"] for record in log.records]


@pytest.fixture
def log() -> FakeEventLog:
    return FakeEventLog()


def test_the_archive_keeps_the_offsets_and_leaves_the_line_out() -> None:
    objects, line = in_force(FakeObjectStore()), InvocationLine()

    archive.handle(a_lambda_batch(RECORDS), archive.Deps(objects, "e1"), line)

    whole = archive_of(RECORDS).objects
    [(name, body)] = [item for item in objects.objects.items() if item[0].startswith("raw/")]
    assert list(whole) == [name]
    assert body != whole[name]
    assert (line.counts["archived_records"], line.counts["erased_records"]) == (1, 1)


def test_a_replay_does_not_send_it(log: FakeEventLog) -> None:
    deps = replay.Deps(in_force(archive_of(RECORDS)), log, now=lambda: START_MS / 1_000, sleep=lambda _seconds: None)

    replay.handle(ALL_TIME, deps, InvocationLine(), "request", 600)

    assert users_of(log) == ["bob"]


def test_a_dead_letter_is_not_sent_and_stays_for_the_erasure(log: FakeEventLog) -> None:
    objects = FakeObjectStore()
    DeadLetterWriter(objects, FakeEventLog()).write([DeadRecord(record, "r", "d") for record in RECORDS], "e1", 1)
    in_force(objects)
    steps = [plan_redrive(name, letter) for name, letter in select_letters(objects, Selection())]

    done = redrive(objects, log, steps)

    assert users_of(log) == ["bob"]
    assert [step.letter for step in done] == [steps[1].letter]
    assert steps[0].letter in objects.objects


def test_the_drain_drops_it_and_notes_the_id_for_its_changes(log: FakeEventLog) -> None:
    objects, store = in_force(FakeObjectStore()), FakeEventStore()
    spooled = [Record(each.topic, each.key or b"", each.value or b"", each.timestamp_ms) for each in RECORDS]
    objects.put_new(spool_name(START_MS * 1_000, "both"), encode_spool(spooled))
    deps = report.Deps(store, objects, log, lambda: START_MS / 1_000 + 60, FakeTopicOffsets(), 0)

    report.handle({"jobs": ["drain_spool"]}, deps, InvocationLine())

    assert users_of(log) == ["bob"]
    assert [row["id"] for row in store.lines("erased_ids")] == ["00000000-0000-0000-0000-000000000001"]
    assert list(objects.list("spool/")) == []


def test_while_the_store_is_away_the_drain_sends_what_was_not_erased_and_keeps_the_rest(log: FakeEventLog) -> None:
    class AwayStore(FakeEventStore):
        asked_times = 0

        def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
            self.asked_times += self.is_down
            super().insert_rows(table, rows, token, columns)

    objects, store = in_force(FakeObjectStore()), AwayStore()
    spooled = [Record(each.topic, each.key or b"", each.value or b"", each.timestamp_ms) for each in RECORDS]
    for number in range(2):
        objects.put_new(spool_name(START_MS * 1_000 + number, "both"), encode_spool(spooled))
    deps = report.Deps(store, objects, log, lambda: START_MS / 1_000 + 60, FakeTopicOffsets(), 0)
    store.is_down = True
    line = InvocationLine()

    report.handle({"jobs": ["drain_spool"]}, deps, line)

    assert users_of(log) == ["bob", "bob"]
    assert (line.fields["postponed_spool_objects"], line.counts["spooled_objects_left"], store.asked_times) == (2, 2, 1)

    store.is_down = False
    report.handle({"jobs": ["drain_spool"]}, deps, InvocationLine())

    assert [row["id"] for row in store.lines("erased_ids")] == ["00000000-0000-0000-0000-000000000001"]
    assert set(users_of(log)) == {"bob"}
    assert list(objects.list("spool/")) == []
