"""Erased records taken out of a bucket, with fakes: it goes on anywhere and counts nothing twice."""

from collections.abc import Iterator

import pytest

from event_analytics.archive import plan_archive, read_object
from event_analytics.archive_keys import parse_key
from event_analytics.erasure import Erased, Erasure, Hit, hash_user
from event_analytics.erasure_cleaning import Cleaner
from event_analytics.erasure_places import PLACES
from event_analytics.erasure_state import ErasureRequest, ErasureRun, new_run
from event_analytics.errors import LogUnavailable
from event_analytics.routing import EVENTS_REPLAY_TOPIC
from tests.fakes import FakeEventLog, FakeObjectStore
from tests.unit.event_analytics.replay_archive import START_MS, a_create, archive_of

ERASED_US = (START_MS + 3_600_000) * 1_000
OBJECTS = 150  # more than are read at once


class Cleaning:
    """A bucket with one object per record, every third of them alice's, and who takes hers out."""

    def __init__(self) -> None:
        self.erased = Erased()
        self.erased.add_user(Erasure(hash_user("alice"), ERASED_US))
        records = [
            a_create(number, number, START_MS + number, user_id="bob" if number % 3 else "alice")
            for number in range(OBJECTS)
        ]
        self.objects = archive_of(*([record] for record in records))
        self.log = FakeEventLog()
        self.written: list[ErasureRun] = []
        self.noted: list[Hit] = []
        self.run = new_run("run1", [ErasureRequest("e1", "alice", ERASED_US)], 0)

    def go_on(self, *is_over: bool) -> ErasureRun:
        """Clean until it is over, as asked after each chunk; then for ever."""
        answers: Iterator[bool] = iter(is_over)
        cleaner = Cleaner(
            self.objects, self.log, self.erased, self._write, self.noted.extend, lambda: next(answers, False)
        )
        self.run = cleaner.clean(self.run)
        return self.run

    def _write(self, run: ErasureRun) -> ErasureRun:
        self.written.append(run)
        return run

    def left(self) -> dict[str, int]:
        """Records by user."""
        users: dict[str, int] = {}
        for name, body in self.objects.objects.items():
            key = parse_key(name)
            assert key is not None
            for record in read_object(key, body):
                user = (record.key or b"").decode()
                users[user] = users.get(user, 0) + 1
        return users


@pytest.fixture
def cleaning() -> Cleaning:
    return Cleaning()


def test_all_of_the_users_records_go_and_names_and_other_lines_stay(cleaning: Cleaning) -> None:
    names = set(cleaning.objects.objects)

    run = cleaning.go_on()

    assert cleaning.left() == {"bob": 100}
    assert set(cleaning.objects.objects) == names
    assert (run.found["archived_events"], run.found["former_versions"]) == ((50,), (50,))
    assert {place.name for place in PLACES} == set(run.found)
    assert cleaning.objects.past == {}
    assert len(cleaning.noted) == 100


def test_a_run_whose_time_is_over_goes_on_where_it_was(cleaning: Cleaning) -> None:
    seen = [cleaning.go_on(True).cursor for _ in range(3)]
    run = cleaning.go_on()

    assert [cursor.place for cursor in seen] == [0, 0, 0]
    assert sorted({cursor.done for cursor in seen}) == [cursor.done for cursor in seen]
    assert (cleaning.left(), run.found["archived_events"]) == ({"bob": 100}, (50,))


def test_what_was_counted_before_its_runner_died_is_not_counted_again(cleaning: Cleaning) -> None:
    untouched = dict(cleaning.objects.objects)
    cleaning.go_on(True)
    cleaning.objects.objects = untouched
    cleaning.run = cleaning.written[-1]  # the counts are stored, nothing is taken out yet

    run = cleaning.go_on()

    assert (cleaning.left(), run.found["archived_events"]) == ({"bob": 100}, (50,))


def test_what_is_kept_of_an_erased_id_is_sent_again_before_the_run_goes_on(cleaning: Cleaning) -> None:
    later = a_create(OBJECTS, 0, START_MS + 7_200_000, user_id="alice")  # the id of her first, sent again
    for archived in plan_archive([later], "e1"):
        cleaning.objects.put_new(archived.name, archived.body)
    cleaning.erased.add_ids([bytes(16)], Erasure(hash_user("alice"), ERASED_US))
    cleaning.log.refuse_after = 0
    with pytest.raises(LogUnavailable):
        cleaning.go_on()
    cleaning.log.refuse_after = None

    cleaning.go_on()

    assert [(record.topic, record.value) for record in cleaning.log.records] == [(EVENTS_REPLAY_TOPIC, later.value)]
    assert cleaning.left() == {"bob": 100, "alice": 1}


def test_a_damaged_object_stays_and_is_named(cleaning: Cleaning) -> None:
    name = next(iter(cleaning.objects.objects))
    cleaning.objects.objects[name] = b"no gzip"
    cleaning.objects.put_new("raw/v1/topic=events/odd", b"no batch")

    run = cleaning.go_on()

    assert run.unreadable == (name, "raw/v1/topic=events/odd")
    assert cleaning.objects.objects[name] == b"no gzip"


def test_a_rewritten_line_is_the_line_that_was_there(cleaning: Cleaning) -> None:
    records = [a_create(offset, 900 + offset, START_MS, user_id=user) for offset, user in enumerate(("alice", "bob"))]
    [archived] = plan_archive(records, "e2")
    cleaning.objects.put_new(archived.name, archived.body)

    cleaning.go_on()

    [kept] = plan_archive(records, "e2", is_kept=lambda record: record.key == b"bob")
    assert cleaning.objects.objects[archived.name] == kept.body
    assert (kept.name, kept.records, kept.left_out) == (archived.name, 1, 1)


def test_an_object_may_hold_no_line_at_all() -> None:
    objects = FakeObjectStore()
    [archived] = plan_archive([a_create(3, 3, START_MS)], "e1", is_kept=lambda _record: False)
    objects.put_new(archived.name, archived.body)
    key = parse_key(archived.name)

    assert key is not None
    assert (key.first_offset, key.last_offset, list(read_object(key, archived.body))) == (3, 3, [])
