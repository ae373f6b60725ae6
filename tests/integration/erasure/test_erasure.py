"""Erasure over the real engine: nothing of the user is left, nothing of anybody else is touched, nothing comes back."""

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from event_analytics.archive_coverage import cover
from event_analytics.archive_keys import parse_key
from event_analytics.dead_letters import DeadLetterWriter, DeadRecord
from event_analytics.erasure_index import ErasureIndex
from event_analytics.erasure_watch import restore_erasures
from event_analytics.integrity import Kind
from event_analytics.integrity_run import check_window
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.replay_state import ReplayJob, ReplayState, Status, encode_state
from event_analytics.rollup_building import count_hours, read_dirty
from event_analytics.routing import EVENTS_REPLAY_TOPIC, Record
from event_analytics.spool import encode_spool, spool_name
from functions.report.app import JobsFailed
from tests.builders import ACCEPTED_US
from tests.fakes import FakeEventLog
from tests.integration.erasure.conftest import World, id_in

FAR_FUTURE = 4_000_000_000
HOUR = datetime.fromtimestamp(ACCEPTED_US // 3_600_000_000 * 3_600, tz=UTC)


def as_spooled(record: KafkaRecord) -> Record:
    return Record(record.topic, record.key or b"", record.value or b"", record.timestamp_ms)


def gaps_of(world: World) -> list[Any]:
    keys = [key for name in sorted(world.objects.objects) if (key := parse_key(name)) is not None]
    return [gap for coverage in cover(keys, is_whole=True) for gap in (*coverage.gaps, *coverage.conflicts)]


def test_an_erased_user_is_in_no_row_and_no_object_and_others_are_as_before(world: World) -> None:
    mine = [world.create("alice", "secret") for number in range(3)]
    others = [world.create("bob", "open") for number in range(3)]
    changes = [world.update(mine[0], "secret"), world.update(others[0], "open")]
    world.archive(*mine, *others)
    world.archive(*changes)
    world.load(*mine, *others)
    world.load(*changes)
    before = world.answers("bob")
    assert world.residue("alice").keys() >= {"events"}

    record = world.erase("alice")

    assert world.residue("alice") == {}
    assert world.residue("secret") == {}
    assert world.answers("bob") == before
    assert {row["id"] for row in before} == {id_in(each) for each in others}
    found = {place: count.before for place, count in record.places.items() if count.before}
    found.pop("pending_changes", None)  # a change that was folded at once was never noted
    assert found == {
        "events": 3, "event_embeddings": 3, "event_changes": 1, "archived_events": 3, "archived_changes": 1,
        "former_versions": 4,
    }  # fmt: skip
    assert {count.after for count in record.places.values()} == {0}
    assert gaps_of(world) == []


def test_rollups_of_an_erased_user_go_and_are_made_anew(world: World) -> None:
    both, own = world.create("alice", "secret"), world.create("alice", "secret", conversation="room-of-alice")
    world.deliver(both, own, world.create("bob", "open"))
    count_hours(world.store, read_dirty(world.store, FAR_FUTURE, 1_000), uuid.uuid4())
    assert {"conversation_hours", "user_hours"} <= world.residue("alice").keys()

    places = world.erase("alice").places

    assert {name: (places[name].before, places[name].after) for name in ("user_hours", "conversation_hours")} == {
        "user_hours": (1, 0), "conversation_hours": (1, 0),
    }  # fmt: skip
    assert world.residue("alice") == {}
    count_hours(world.store, read_dirty(world.store, FAR_FUTURE, 1_000), uuid.uuid4())
    assert world.residue("alice") == {}
    assert {"conversation_hours"} <= world.residue("c").keys()


def test_letters_spool_replays_and_former_versions_are_cleaned_too(world: World) -> None:
    mine, other = world.create("alice", "secret"), world.create("bob", "open")
    broken = structs.replace(mine, value=(mine.value or b"").replace(b"}", b""))
    nameless = structs.replace(mine, key=None, value=b'{"user_id": "%b", "accepted_us"' % world.own("alice").encode())
    letters = [DeadRecord(record, "record_undecodable", "no event") for record in (broken, nameless, other)]
    DeadLetterWriter(world.objects, FakeEventLog()).write(letters, "e1", 1)
    world.objects.put_new(spool_name(1, "both"), encode_spool(map(as_spooled, (mine, other))))
    world.objects.put_new(spool_name(2, "drained"), encode_spool([as_spooled(mine)]))
    world.objects.delete(spool_name(2, "drained"))
    job = ReplayJob("r1", 0, 1, user_id=world.own("alice"))
    world.objects.put_new("replays/v1/finished/r1.json", encode_state(ReplayState(job, 0, 0, status=Status.DONE)))

    record = world.erase("alice")

    assert world.residue("alice") == {}
    assert len(world.residue("open")) == 2  # the letter, and what is left of the spooled request
    assert {name: record.places[name].before for name in ("dead_letters", "spool", "replays")} == {
        "dead_letters": 2, "spool": 1, "replays": 1,
    }  # fmt: skip


def test_what_comes_again_stays_away_and_what_is_accepted_later_is_kept(world: World) -> None:
    old = [world.create("alice", "secret"), world.create("bob", "open")]
    change = world.update(old[0], "secret")
    world.deliver(*old, change)
    world.erase("alice")
    world.clock_us += 1_000_000
    new = world.create("alice", "new")

    lines = [world.load(*old, change), world.load(new)]
    world.archive(*old, new)  # cut otherwise than before: another object
    world.archive(change)

    assert [line.counts["erased_records"] for line in lines] == [2, 0]
    assert world.residue("secret") == {}
    assert [row["input"] for row in world.answers("alice")] == ["new"]
    assert gaps_of(world) == []


def test_an_erased_create_that_was_never_loaded_takes_its_changes_along(world: World) -> None:
    late = world.create("alice", "secret")
    change = world.update(late, "secret")
    world.load(change)
    world.archive(change)
    erasure_id = world.request("alice")
    world.catch_up()
    world.until(erasure_id, "settle")  # in force, and all places were looked at: nobody knew the id

    world.load(late)
    assert world.residue("secret").keys() >= {"event_changes"}
    world.look_again()

    assert world.end(erasure_id).places["event_changes"].before == 1
    assert world.residue("secret") == {}


class HeldStore:
    """A store whose inserts into `events` wait until they are let go."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_held, self.may_go = threading.Event(), threading.Event()

    def insert_rows(self, table: str, *arguments: Any) -> None:
        if table == "events":
            self.is_held.set()
            assert self.may_go.wait(30)
        self._store.insert_rows(table, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_batch_in_hand_when_the_erasure_comes_into_force_is_waited_for(world: World) -> None:
    record = world.create("alice", "secret")
    world.archive(record)
    world.catch_up()
    world.offsets.reached_by["tallystream-load", "events"] = 0
    held = HeldStore(world.store)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(world.load, record, store=held)
        assert held.is_held.wait(30)  # it has asked who was erased: nobody
        erasure_id = world.request("alice")
        world.until(erasure_id, "wait_for_consumers")
        held.may_go.set()
        loading.result()
    assert len(world.answers("alice")) == 1
    world.catch_up()

    done = world.end(erasure_id)

    assert world.residue("secret") == {}
    assert done.places["events"].before == 1


def test_a_row_that_comes_after_the_deletion_is_found_when_it_looks_again(world: World) -> None:
    record = world.create("alice", "secret")
    world.deliver(record)
    held = HeldStore(world.store)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(world.load, record, store=held)  # the same batch, by a trigger that died since
        assert held.is_held.wait(30)
        erasure_id = world.request("alice")
        world.catch_up()
        world.until(erasure_id, "settle")
        assert world.answers("alice") == []
        held.may_go.set()
        loading.result()
    assert len(world.answers("alice")) == 1
    assert world.record(erasure_id).places["events"].before == 1
    world.look_again()

    done = world.end(erasure_id)

    assert world.residue("secret") == {}
    assert (done.round, done.places["events"].before, done.places["events"].after) == (3, 2, 0)


def test_an_id_that_is_sent_again_after_the_erasure_keeps_its_later_create_and_changes(world: World) -> None:
    first = world.create("alice", "secret")
    world.deliver(first)
    erasure_id = world.request("alice")
    second = world.create("alice", "sent again", id_in(first))
    change = world.update(second, "changed")
    world.deliver(second, change)
    # Of the two creates the first counts: a merge leaves no other.
    world.store.command(f"DELETE FROM events WHERE id = '{id_in(second)}' AND input = '{world.own('sent again')}'")
    world.catch_up()

    world.end(erasure_id)
    assert "events" not in world.residue("sent again")
    again = [record for record in world.log.records if record.topic == EVENTS_REPLAY_TOPIC]
    for offset, record in enumerate(again):
        world.load(KafkaRecord(record.topic, 0, offset, record.timestamp_ms, record.key, record.value))
    world.next_minute("fold_pending")

    assert [(row["input"], row["output"]) for row in world.answers("alice")] == [("sent again", "changed")]
    assert world.residue("secret") == {}


def test_what_another_user_sent_under_the_same_id_comes_to_light(world: World) -> None:
    first = world.create("alice", "secret")
    event = {**json.loads(first.value or b""), "user_id": world.own("bob"), "conversation_id": world.own("d")}
    event |= {"accepted_us": world.clock_us + 5, "input": world.own("open")}
    second = structs.replace(first, offset=7, key=b"bob", value=json.dumps(event).encode())
    world.sent.append(second)
    world.load(first, second)
    world.archive(first)
    world.archive(second)
    assert world.answers("bob") == []

    world.erase("alice")

    assert [row["input"] for row in world.answers("bob")] == ["open"]
    assert world.residue("secret") == {}


def test_the_integrity_check_misses_nothing_while_an_erasure_runs_and_after(world: World) -> None:
    mine, other = world.create("alice", "secret"), world.create("bob", "open")
    world.deliver(mine, other, world.update(mine, "secret"), world.update(other, "open"))
    start, end = HOUR, HOUR + timedelta(hours=1)
    erasure_id = world.request("alice")
    world.catch_up()
    own = {id_in(record) for record in world.sent}  # of other worlds' rows this archive knows nothing
    seen = []

    def check() -> None:
        report = check_window(world.store, world.objects, start, end, 1_000)
        assert [each for each in report.listed if each.kind is not Kind.EXTRA or str(each.id) in own] == []
        seen.append(report.archived_events)

    check()
    interrupt_each_step(world, erasure_id, check)
    check()

    assert (seen[0], seen[-1], world.residue("secret")) == (2, 1, {})


def test_a_new_database_learns_who_was_erased(world: World) -> None:
    record = world.create("alice", "secret")
    change = world.update(record, "secret")
    world.deliver(record, change)
    world.erase("alice")
    for table in ("erasures", "erased_ids"):
        world.store.command(f"TRUNCATE TABLE {table}")

    restore_erasures(world.store, ErasureIndex().read(world.objects))

    assert world.load(record, change).counts["erased_records"] == 2
    assert world.residue("secret") == {}


class Died(Exception):  # noqa: N818 - names what happened
    """As if the process had been killed."""


class Mortal:
    """Passes calls on and dies at the given one."""

    def __init__(self, target: Any, countdown: list[int]) -> None:
        self._target = target
        self._countdown = countdown

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] == 0:
                raise Died(name)
            return getattr(self._target, name)(*arguments, **named)

        return call


def interrupt_each_step(world: World, erasure_id: str, between: Callable[[], None] = lambda: None) -> int:
    """Run the schedule until the erasure is done, killed after one call of a store, then after two; how often."""
    for calls in range(1, 400):
        countdown = [calls]
        try:
            world.next_minute(objects=Mortal(world.objects, countdown), store=Mortal(world.store, countdown))
        except JobsFailed as failed:
            assert "Died" in str(failed)
        between()
        if world.record(erasure_id).status == "done":
            return calls
    raise AssertionError(world.record(erasure_id))


def test_an_erasure_killed_again_and_again_ends_as_if_it_had_not_been(world: World) -> None:
    mine = [world.create("alice", "secret") for number in range(4)]
    others = [world.create("bob", "open") for number in range(4)]
    for pair in zip(mine, others, strict=True):
        world.archive(*pair)
    world.load(*mine, *others)
    world.deliver(world.update(mine[0], "secret"))
    world.objects.put_new(spool_name(1, "one"), encode_spool(map(as_spooled, (mine[0], others[0]))))
    before = world.answers("bob")
    erasure_id = world.request("alice")
    world.catch_up()

    minutes = interrupt_each_step(world, erasure_id)

    found = {place: count.before for place, count in world.record(erasure_id).places.items() if count.before}
    assert minutes > 10
    assert world.residue("secret") == {}
    assert world.residue("alice") == {}
    assert world.answers("bob") == before
    assert {name: found[name] for name in ("events", "archived_events", "archived_changes", "spool")} == {
        "events": 4, "archived_events": 4, "archived_changes": 1, "spool": 1,
    }  # fmt: skip
    assert gaps_of(world) == []


def test_erasures_that_wait_are_carried_out_together_each_up_to_its_own_moment(world: World) -> None:
    early = [world.create(user, "secret") for user in ("alice", "bob")]
    world.deliver(*early)
    first = [world.request("alice"), world.request("alice")]
    between = world.create("bob", "between")
    world.deliver(between)
    last = world.request("bob")
    late = [world.create(user, "late") for user in ("alice", "bob")]
    world.deliver(*late)
    world.catch_up()

    records = [world.end(erasure_id) for erasure_id in (last, *first)]

    assert [record.places["events"].before for record in records] == [2, 1, 1]
    assert [row["input"] for user in ("alice", "bob") for row in world.answers(user)] == [
        "late",
        "late",
    ]
    assert world.residue("secret") == {}
    assert world.residue("between") == {}


def test_a_user_of_whom_nothing_is_known_is_erased_too(world: World) -> None:
    record = world.erase("nobody")

    assert (record.status, record.round) == ("done", 2)
    assert {(count.before, count.after) for count in record.places.values()} == {(0, 0)}


def test_user_ids_of_any_form_are_erased(world: World) -> None:
    users = ('ü 👋 "quoted" \\ /%2F', "' OR 1=1 --", "{users:Array(String)}", "\\', 'x")
    creates = [world.create(user, "secret") for user in users]
    changes = [world.update(create, "secret") for create in creates]
    world.archive(*creates, *changes)
    world.load(*creates, *changes)
    world.catch_up()

    records = [world.end(erasure_id) for erasure_id in map(world.request, users)]

    assert world.residue("secret") == {}
    assert [record.places["events"].before for record in records] == [1] * len(users)
