"""An erasure as it is asked for, as far as it has come, and as it is told: the values that its objects in S3 hold.

Erasures that wait are carried out together, in one run: reading the archive costs the same for one user and for many.
Encodes and reads them; `erasure_journal` stores them, `erasure_run` advances them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from event_analytics.erasure import Erasure, hash_user

KAFKA_NOTE: Final = "Kafka's own copies end with the retention of its topics"


class Step(StrEnum):
    """What a run does next. After SETTLE it begins again with COUNT_ROWS, until a round has found nothing."""

    MARK = "mark"
    NOTE_ENDS = "note_ends"
    WAIT_FOR_CONSUMERS = "wait_for_consumers"
    COUNT_ROWS = "count_rows"
    KEEP_IDS = "keep_ids"
    DELETE_ROWS = "delete_rows"
    AWAIT_ROWS = "await_rows"
    CLEAN_OBJECTS = "clean_objects"
    SETTLE = "settle"
    FINISH = "finish"


class ErasureRequest(msgspec.Struct, frozen=True):
    """What DELETE /users/{user_id} leaves: the one object with the user's id, until the run is done."""

    erasure_id: str
    user_id: str
    accepted_us: int


class Subject(msgspec.Struct, frozen=True):
    """One user of a run: several erasures of one user are one, up to the latest acceptance.

    `requests`: when each of them was accepted, Unix microseconds, by erasure id.
    """

    user_hash: str
    erased_us: int
    requests: dict[str, int]

    @property
    def erasure(self) -> Erasure:
        """As records are held against it."""
        return Erasure(self.user_hash, self.erased_us)


class Cursor(msgspec.Struct, frozen=True):
    """Where the cleaning of objects continues. Objects up to `counted` are in the counts, even if not yet cleaned."""

    place: int = 0
    done: str = ""
    counted: str = ""


class StepDone(msgspec.Struct, frozen=True):
    """One step that is done."""

    step: Step
    round: int
    at_ms: int


class ErasureRun(msgspec.Struct, frozen=True):
    """One run; it names users by hash only.

    `hours`: that rows are deleted from and that are to be marked, Unix seconds. `ends`: Kafka's ends when the erasure
    came into force, by "topic/partition". `found`: per place how many rows or records of each subject, this round's in
    `found_now`. `unreadable`: names of damaged objects, which stay as they are. `revision` grows with every write.
    """

    run_id: str
    subjects: tuple[Subject, ...]
    started_ms: int
    step: Step = Step.MARK
    round: int = 1
    revision: int = 0
    ends: dict[str, int] = {}
    hours: tuple[int, ...] = ()
    cursor: Cursor = Cursor()
    found: dict[str, tuple[int, ...]] = {}
    found_now: dict[str, tuple[int, ...]] = {}
    unreadable: tuple[str, ...] = ()
    settled_ms: int = 0
    done: tuple[StepDone, ...] = ()

    def changed(self, **fields: Any) -> "ErasureRun":
        """The same with other fields."""
        return msgspec.structs.replace(self, **fields)

    def after(self, step: Step, now_ms: int, **fields: Any) -> "ErasureRun":
        """The same at another step, with the one before noted as done."""
        done = (*self.done, StepDone(self.step, self.round, now_ms))
        return self.changed(**{"step": step, "done": done, **fields})

    def counting(self, place: str, numbers: Mapping[str, int]) -> "ErasureRun":
        """The same with so many more found in a place, by user hash."""
        more = tuple(numbers.get(subject.user_hash, 0) for subject in self.subjects)
        return self.changed(found=_plus(self.found, place, more), found_now=_plus(self.found_now, place, more))

    @property
    def has_found(self) -> bool:
        """Whether this round has found anything of anybody."""
        return any(map(any, self.found_now.values()))


def _plus(found: Mapping[str, tuple[int, ...]], place: str, more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    known = found.get(place, (0,) * len(more))
    return {**found, place: tuple(map(sum, zip(known, more, strict=True)))}


def new_run(run_id: str, requests: Iterable[ErasureRequest], now_ms: int) -> ErasureRun:
    """A run of these requests."""
    subjects: dict[str, Subject] = {}
    for request in requests:
        user_hash = hash_user(request.user_id)
        known = subjects.get(user_hash, Subject(user_hash, 0, {}))
        latest_us = max(known.erased_us, request.accepted_us)
        asked = {**known.requests, request.erasure_id: request.accepted_us}
        subjects[user_hash] = Subject(user_hash, latest_us, asked)
    return ErasureRun(run_id, tuple(subjects.values()), now_ms)


class PlaceCount(msgspec.Struct, frozen=True):
    """How many rows or records of a user a place held before, and at the last look; None before there was one."""

    before: int
    after: int | None


class ErasureRecord(msgspec.Struct, frozen=True):
    """What GET /erasures/{id} answers. `steps`: those that are done, each with its round."""

    erasure_id: str
    status: str
    accepted_at: str
    started_at: str | None = None
    finished_at: str | None = None
    step: str | None = None
    round: int | None = None
    steps: tuple[dict[str, Any], ...] = ()
    places: dict[str, PlaceCount] = {}
    unreadable: tuple[str, ...] = ()
    kafka: str = KAFKA_NOTE


def describe_request(request: ErasureRequest) -> ErasureRecord:
    """The record of one that no run has taken up."""
    return ErasureRecord(request.erasure_id, "accepted", _instant(request.accepted_us // 1_000))


def describe_run(run: ErasureRun, subject: Subject, erasure_id: str, finished_ms: int = 0) -> ErasureRecord:
    """The record of one that a run has taken up. The last look is the last round's, which is over when it is done."""
    index = run.subjects.index(subject)
    places = {}
    for place, numbers in run.found.items():
        now = run.found_now[place][index] if finished_ms else None
        places[place] = PlaceCount(numbers[index] - (now or 0), now)
    return ErasureRecord(
        erasure_id=erasure_id,
        status="done" if finished_ms else "running",
        accepted_at=_instant(subject.requests[erasure_id] // 1_000),
        started_at=_instant(run.started_ms),
        finished_at=_instant(finished_ms) if finished_ms else None,
        step=None if finished_ms else str(run.step),
        round=run.round,
        steps=tuple({"step": str(each.step), "round": each.round, "at": _instant(each.at_ms)} for each in run.done),
        places=places,
        unreadable=run.unreadable,
    )


def _instant(milliseconds: int) -> str:
    return (
        datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
