"""The running erasure: one step after the other, each of which may happen twice, as far as the time of a run goes.

The order is what makes it complete. The erasure is in force first: from then on loading and archiving drop what it
covers. What they had in hand at that moment is waited for. Then rows and objects lose what they hold, and all places
are looked at again when everything that could have been under way has ended; the erasure is done when such a round has
found nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from event_analytics.conflict_settling import settle_ids
from event_analytics.erasure import Erased, Erasure, Hit
from event_analytics.erasure_cleaning import Cleaner
from event_analytics.erasure_index import IDS_PER_PART, ErasureIndex, write_part
from event_analytics.erasure_journal import ErasureJournal
from event_analytics.erasure_places import PLACES
from event_analytics.erasure_sql import (
    TABLES,
    ErasedTable,
    ErasedUser,
    compile_collection,
    compile_count,
    compile_deletion,
    compile_hours,
    compile_hours_deletion,
    compile_ids_page,
    compile_masked,
    compile_pending_notes,
    compile_survivors,
    compile_unfinished,
    compile_unmasking,
)
from event_analytics.erasure_state import Cursor, ErasureRun, Step
from event_analytics.erasure_watch import created_ids, note_erased_ids, note_erasures
from event_analytics.fold import Statement
from event_analytics.hour_marks import mark_hours, parts_of
from event_analytics.ports import ErasableStore, EventLog, EventStore, TopicOffsets
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC

# Who writes what erasure deletes: consumer groups and their topics, as template.yaml names them.
CONSUMERS: Final = (
    ("tallystream-load", EVENTS_TOPIC),
    ("tallystream-load-changes", EVENT_CHANGES_TOPIC),
    ("tallystream-load-replay", EVENTS_REPLAY_TOPIC),
    ("tallystream-archive", EVENTS_TOPIC),
    ("tallystream-archive-changes", EVENT_CHANGES_TOPIC),
)
_POLL_SECONDS: Final = 0.2  # a small deletion takes as long
_PATIENCE_SECONDS: Final = 10.0  # then the next minute asks again
_FIRST_ID: Final = UUID(int=0)


@dataclass(frozen=True)
class Eraser:
    """What erasing needs. `now`: Unix seconds. `settle_seconds`: the longest that an invocation of load can last."""

    store: EventStore
    objects: ErasableStore
    log: EventLog
    offsets: TopicOffsets
    index: ErasureIndex
    now: Callable[[], float]
    sleep: Callable[[float], object]
    settle_seconds: float

    def run(self, is_over: Callable[[], bool]) -> list[ErasureRun]:
        """Carry on what is under way, then what waits, until all is done, a step must wait, or the time is over.

        Returns the states in which runs were left.

        Raises:
            RunTaken: another runner is at it.
            StoreUnavailable, LogUnavailable, and what the object store raises: the next run goes on from there.
        """
        journal = ErasureJournal(self.objects)
        left: list[ErasureRun] = []
        while not is_over() and (run := journal.open(int(self.now() * 1_000))) is not None:
            left.append(_Advance(self, journal, run, is_over).to_end())
            if left[-1].step is not Step.FINISH:
                break
        return left


class _Advance:
    """One run, for as long as this invocation may."""

    def __init__(self, eraser: Eraser, journal: ErasureJournal, run: ErasureRun, is_over: Callable[[], bool]) -> None:
        self._eraser = eraser
        self._store = eraser.store
        self._objects = eraser.objects
        self._journal = journal
        self._run = run
        self._is_over = is_over
        users = journal.read_users(run)
        self._users = [
            ErasedUser(users[subject.user_hash], subject.erasure)
            for subject in run.subjects
            if subject.user_hash in users
        ]
        self._erasures = {subject.user_hash: subject.erasure for subject in run.subjects}
        self._erased = Erased()

    def to_end(self) -> ErasureRun:
        """The state in which the run is left."""
        steps: dict[Step, Callable[[], ErasureRun | None]] = {
            Step.MARK: self._mark,
            Step.NOTE_ENDS: self._note_ends,
            Step.WAIT_FOR_CONSUMERS: self._wait_for_consumers,
            Step.COUNT_ROWS: self._count_rows,
            Step.KEEP_IDS: self._keep_ids,
            Step.DELETE_ROWS: self._delete_rows,
            Step.AWAIT_ROWS: self._await_rows,
            Step.CLEAN_OBJECTS: self._clean_objects,
            Step.SETTLE: self._settle,
        }
        while self._run.step is not Step.FINISH:
            advanced = steps[self._run.step]()
            if advanced is None:
                return self._run
            self._write(advanced)
            if self._is_over():
                return self._run
        self._journal.finish(self._run, self._now_ms())
        return self._run

    def _mark(self) -> ErasureRun:
        """Put the erasure in force for everybody who may still bring records of these users."""
        note_erasures(self._store, self._erasures.values())
        write_part(self._objects, self._run.run_id, self._now_us(), dict.fromkeys(self._erasures.values(), ()))
        return self._after(Step.NOTE_ENDS)

    def _note_ends(self) -> ErasureRun:
        """Note up to where consumers may have read without knowing of it."""
        topics = dict.fromkeys(topic for _, topic in CONSUMERS)
        ends = {
            f"{topic}/{partition}": end
            for topic in topics
            for partition, end in self._eraser.offsets.ends(topic).items()
        }
        return self._after(Step.WAIT_FOR_CONSUMERS, ends=ends)

    def _wait_for_consumers(self) -> ErasureRun | None:
        """Go on once every consumer is past there. A topic that began anew ends earlier than was noted."""
        return self._after(Step.COUNT_ROWS) if self._waited_until(self._are_consumers_past) else None

    def _are_consumers_past(self) -> bool:
        offsets = self._eraser.offsets
        ends = {topic: offsets.ends(topic) for topic in dict.fromkeys(topic for _, topic in CONSUMERS)}
        for group, topic in CONSUMERS:
            reached = offsets.reached(group, topic)
            for partition, end in ends[topic].items():
                if reached.get(partition, 0) < min(end, self._run.ends.get(f"{topic}/{partition}", 0)):
                    return False
        return True

    def _count_rows(self) -> ErasureRun:
        """Note the ids of the users' events and the hours they lie in, and count what is there."""
        self._execute(compile_collection(self._users))
        run = self._run
        for table in TABLES:
            is_asked = not table.is_derived or run.round == 1 or run.has_found
            run = run.counting(table.name, self._count(table) if is_asked else {})
        self._run = run
        return self._after(Step.KEEP_IDS, hours=touched_hours(self._store, self._users) if run.has_found else ())

    def _keep_ids(self) -> ErasureRun:
        """Give the ids that only ClickHouse has to those who have no ClickHouse, before their rows go."""
        known = self._eraser.index.read(self._objects)
        for page in self._id_pages():
            fresh = {
                erasure: [identifier for identifier in ids if not known.has_id(UUID(bytes=identifier), erasure)]
                for erasure, ids in page.items()
            }
            if fresh := {erasure: ids for erasure, ids in fresh.items() if ids}:
                write_part(self._objects, self._run.run_id, self._now_us(), fresh)
        return self._after(Step.DELETE_ROWS if self._run.has_found else Step.CLEAN_OBJECTS, cursor=Cursor())

    def _delete_rows(self) -> ErasureRun:
        """Begin to delete what was counted."""
        for table in TABLES:
            # Marks of changes that were folded into a row that goes: whatever is left of them must be folded again.
            if not table.is_derived and (any(self._run.found_now[table.name]) or table.name == "pending_changes"):
                self._execute(compile_deletion(table, self._users))
        return self._after(Step.AWAIT_ROWS)

    def _await_rows(self) -> ErasureRun | None:
        """Go on once the rows are gone: put right what is left of their ids, then begin to delete their rollups."""
        if not self._waited_until(lambda: not self._count_unfinished()):
            return None
        self._execute(compile_pending_notes(self._users))
        # An event that another user sent under the same id was hidden behind the one that is gone.
        settle_ids(self._store, [UUID(row["id"]) for row in self._select(compile_survivors(self._users))])
        mark_hours(self._store, self._run.hours)
        self._delete_rollups()
        return self._after(Step.CLEAN_OBJECTS, hours=(), cursor=Cursor())

    def _delete_rollups(self) -> None:
        """Begin to delete all that was counted of the users' hours, and what was deleted before and only masked."""
        for hours in parts_of(self._run.hours):
            for table in TABLES:
                if table.is_derived:
                    self._execute(compile_hours_deletion(table, hours))
        for row in self._select(compile_masked()):
            self._execute(compile_unmasking(row["table"]))

    def _clean_objects(self) -> ErasureRun:
        """Take the records out of the bucket, and look whether this round has found anything at all."""
        self._erased = self._eraser.index.read(self._objects).only(self._erasures)
        cleaner = Cleaner(self._objects, self._eraser.log, self._erased, self._write, self._note_ids, self._is_over)
        run = self._run = cleaner.clean(self._run)
        if run.cursor.place < len(PLACES):
            return run
        if run.round > 1 and not run.has_found:
            return self._after(Step.FINISH)
        return self._after(Step.SETTLE, settled_ms=self._now_ms() + int(self._eraser.settle_seconds * 1_000))

    def _settle(self) -> ErasureRun | None:
        """Look again once whoever read a row before it went, and wrote a copy of it later, must have ended."""
        if not self._waited_until(lambda: self._now_ms() >= self._run.settled_ms and not self._count_unfinished()):
            return None
        return self._after(Step.COUNT_ROWS, round=self._run.round + 1, found_now={})

    def _note_ids(self, hits: Iterable[Hit]) -> None:
        unknown = [hit for hit in hits if hit.created_id and not self._erased.has_id(hit.created_id, hit.erasure)]
        if ids := created_ids(unknown):
            note_erased_ids(self._store, ids)
            write_part(self._objects, self._run.run_id, self._now_us(), ids)
            for erasure, found in ids.items():
                self._erased.add_ids(found, erasure)

    def _id_pages(self) -> Iterator[dict[Erasure, list[bytes]]]:
        after = _FIRST_ID
        while rows := self._select(compile_ids_page(list(self._erasures), after, IDS_PER_PART)):
            page: defaultdict[Erasure, list[bytes]] = defaultdict(list)
            for row in rows:
                for user_hash in row["hashes"]:
                    page[self._erasures[user_hash]].append(UUID(row["id"]).bytes)
            yield page
            after = UUID(rows[-1]["id"])

    def _waited_until(self, is_so: Callable[[], bool]) -> bool:
        """Whether it came to be so within a patience that leaves the rest of the minute to other jobs."""
        deadline = self._eraser.now() + _PATIENCE_SECONDS
        while not is_so():
            if self._is_over() or self._eraser.now() >= deadline:
                return False
            self._eraser.sleep(_POLL_SECONDS)
        return True

    def _count_unfinished(self) -> int:
        return int(self._select(compile_unfinished())[0]["number"])

    def _count(self, table: ErasedTable) -> dict[str, int]:
        return {row["user_hash"]: int(row["number"]) for row in self._select(compile_count(table, self._users))}

    def _after(self, step: Step, **fields: Any) -> ErasureRun:
        return self._run.after(step, self._now_ms(), **fields)

    def _write(self, run: ErasureRun) -> ErasureRun:
        self._run = self._journal.write(run)
        return self._run

    def _execute(self, statement: Statement) -> None:
        self._store.execute(statement.sql, statement.parameters)

    def _select(self, statement: Statement) -> list[dict[str, Any]]:
        return self._store.select(statement.sql, statement.parameters)

    def _now_ms(self) -> int:
        return int(self._eraser.now() * 1_000)

    def _now_us(self) -> int:
        return int(self._eraser.now() * 1_000_000)


def touched_hours(store: EventStore, users: Sequence[ErasedUser]) -> tuple[int, ...]:
    """Hours, as Unix seconds of their starts, that rows of the users are about: rollups of them must be made anew."""
    statement = compile_hours(users)
    return tuple(sorted(int(row["hour"]) for row in store.select(statement.sql, statement.parameters)))
