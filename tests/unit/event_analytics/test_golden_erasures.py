"""What erasures of version 1 left in S3 is read for ever: else an erased user would come back, or be nobody's answer.

As in `test_golden_files`: those of `tests/golden/erasures/` stand under the names that were given, never edited.
"""

from uuid import UUID

import msgspec

from event_analytics.erasure import Erasure, hash_user
from event_analytics.erasure_index import ERASED_PREFIX, ErasureIndex, write_part
from event_analytics.erasure_journal import (
    FINISHED_PREFIX,
    REQUESTED_PREFIX,
    RUNNING_PREFIX,
    ErasureJournal,
    read_record,
    read_run,
    request_erasure,
)
from event_analytics.erasure_state import Cursor, ErasureRequest, ErasureRun, Step, StepDone, Subject
from local_runtime.settings import REPOSITORY
from tests.builders import ACCEPTED_MS, ACCEPTED_US, UUID4, UUID7
from tests.fakes import FakeObjectStore

GOLDEN = REPOSITORY / "tests/golden"
FIRST, SECOND, OTHER = (f"01a0c450-6c00-7000-8000-0000000000e{number}" for number in range(1, 4))
USER, OTHER_USER = "ü-1", "u2"
REQUESTS = (
    ErasureRequest(FIRST, USER, ACCEPTED_US),
    ErasureRequest(SECOND, USER, ACCEPTED_US + 5_000_000),
    ErasureRequest(OTHER, OTHER_USER, ACCEPTED_US + 1),
)
ERASURES = (Erasure(hash_user(USER), ACCEPTED_US + 5_000_000), Erasure(hash_user(OTHER_USER), ACCEPTED_US + 1))
RUN = ErasureRun(
    run_id=FIRST,
    subjects=(
        Subject(ERASURES[0].user_hash, ERASURES[0].erased_us, {FIRST: ACCEPTED_US, SECOND: ACCEPTED_US + 5_000_000}),
        Subject(ERASURES[1].user_hash, ERASURES[1].erased_us, {OTHER: ACCEPTED_US + 1}),
    ),
    started_ms=ACCEPTED_MS + 60_000,
    step=Step.CLEAN_OBJECTS,
    round=2,
    revision=12,
    ends={"events/0": 17, "event-changes/3": 4},
    hours=(1_789_999_200,),
    cursor=Cursor(
        0, "raw/v1/topic=events/date=2026-09-21/a.jsonl.gz", "raw/v1/topic=events/date=2026-09-21/b.jsonl.gz"
    ),
    found={"events": (3, 1), "archived_events": (4, 1)},
    found_now={"events": (0, 0), "archived_events": (1, 0)},
    unreadable=("raw/v1/topic=events/date=2026-09-21/torn.jsonl.gz",),
    settled_ms=ACCEPTED_MS + 90_000,
    done=tuple(StepDone(step, 1, ACCEPTED_MS + 61_000 + at) for at, step in enumerate(list(Step)[:-1])),
)
FINISHED_MS = ACCEPTED_MS + 120_000


def golden(prefix: str) -> dict[str, bytes]:
    """Bodies by the names that S3 has them under."""
    files = [path for path in (GOLDEN / prefix).rglob("*") if path.is_file()]
    return {str(path.relative_to(GOLDEN)): path.read_bytes() for path in files}


def a_bucket(*prefixes: str) -> FakeObjectStore:
    objects = FakeObjectStore()
    for prefix in prefixes:
        objects.objects |= golden(prefix)
    return objects


def written(objects: FakeObjectStore, prefix: str) -> dict[str, bytes]:
    return {name: body for name, body in objects.objects.items() if name.startswith(prefix)}


def test_requests_of_version_1_are_taken_up_and_written_the_same_today() -> None:
    today = FakeObjectStore()
    for request in REQUESTS:
        request_erasure(today, request)
    run = ErasureJournal(a_bucket(REQUESTED_PREFIX)).open(RUN.started_ms)
    record = read_record(a_bucket(REQUESTED_PREFIX), OTHER)

    assert today.objects == golden(REQUESTED_PREFIX)
    assert run is not None
    assert (run.run_id, run.subjects) == (RUN.run_id, RUN.subjects)
    assert record is not None
    assert (record.status, record.accepted_at) == ("accepted", "2026-09-21T14:13:20.000Z")


def test_a_run_of_version_1_goes_on_and_is_written_the_same_today() -> None:
    objects = a_bucket(RUNNING_PREFIX, REQUESTED_PREFIX)
    journal = ErasureJournal(objects)
    record = read_record(objects, SECOND)

    assert read_run(objects) == journal.open(FINISHED_MS) == RUN
    assert journal.read_users(RUN) == {hash_user(user): user for user in (USER, OTHER_USER)}
    assert record is not None
    assert (record.status, record.step, record.round) == ("running", "clean_objects", 2)
    before = RUN.changed(revision=RUN.revision - 1)
    [name] = golden(RUNNING_PREFIX)
    objects.objects[name] = msgspec.json.encode(before)
    assert journal.write(before) == RUN
    assert written(objects, RUNNING_PREFIX) == golden(RUNNING_PREFIX)


def test_records_of_version_1_are_answered_and_written_the_same_today() -> None:
    today = FakeObjectStore()
    ErasureJournal(today).finish(RUN.changed(step=Step.FINISH), FINISHED_MS)
    record = read_record(a_bucket(FINISHED_PREFIX), FIRST)

    assert today.objects == golden(FINISHED_PREFIX)
    assert record is not None
    assert (record.status, record.finished_at) == ("done", "2026-09-21T14:15:20.000Z")
    assert msgspec.to_builtins(record.places)["archived_events"] == {"before": 3, "after": 1}
    assert USER.encode() not in b"".join(golden(FINISHED_PREFIX).values())


def test_what_version_1_noted_as_erased_is_known_and_written_the_same_today() -> None:
    ids = [UUID(UUID7).bytes, UUID(UUID4).bytes]
    today = FakeObjectStore()
    write_part(today, FIRST, ACCEPTED_US + 60_000_000, dict.fromkeys(ERASURES, ()))
    write_part(today, FIRST, ACCEPTED_US + 61_000_000, {ERASURES[0]: ids, ERASURES[1]: ids[:1]})
    erased = ErasureIndex().read(a_bucket(ERASED_PREFIX))

    assert today.objects == golden(ERASED_PREFIX)
    assert set(erased.users()) == set(ERASURES)
    assert dict(erased.ids()) == dict.fromkeys(ids, ERASURES[0])
