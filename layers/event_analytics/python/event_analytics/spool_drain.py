"""The spool's objects -> Kafka, in the order of their names, each deleted once Kafka has all of it.

One drain at a time (`spool_lease`, and the function's reserved concurrency of 1). It stops at the first record that is
not acknowledged: what follows could be of the same key. Killed between acknowledgement and deletion, the next one
publishes the object again and ids remove what came twice. An object that cannot be read stays where it is, counted.
So does one with an erased record whose id cannot be noted now: the others in it are published in their turn, and again
by each drain until the id is noted, so that nobody waits and no key's order changes.

A broker that comes back may be slow, and what is not acknowledged in time is sent again: an append begins small, grows
with each that succeeds and shrinks with each that does not, so that a slow broker is not kept busy with repetitions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, NamedTuple, Protocol

from event_analytics.errors import LogUnavailable, StoreRejected, StoreUnavailable
from event_analytics.ports import EventLog, ObjectEntry, ObjectStore
from event_analytics.routing import Record
from event_analytics.spool import SPOOL_PREFIX, SpoolUnreadable, accepted_us_of, decode_spool
from event_analytics.spool_lease import take_lease

DRAIN_SECONDS_MAX: Final = 40.0  # of the minute until the next run; other jobs share it
# A holder ends at its deadline plus one step: reading a chunk from S3 and appending it, each with its own time-outs.
_LEASE_MARGIN_SECONDS: Final = 60.0
# An object may be written up to 9 s after the time in its name. One accepted after the listing began could be seen
# before an older one of the same key; it waits for the next run. The second covers clocks that differ.
_SETTLED_US: Final = 1_000_000
_OBJECTS_AT_ONCE: Final = 64  # S3 answers in 10 to 50 ms: one at a time would drain 20 requests a second
_THREADS: Final = 10  # boto3 keeps 10 connections per client; those of more threads are opened anew each time
_CHUNK_BYTES_MAX: Final = 2_000_000  # gzipped: events unpack to some ten times that
_RECORDS_AT_ONCE: Final = 5_000  # as in the largest request, which fits Kafka's 5 s many times
_BYTES_AT_ONCE: Final = 4_000_000  # likewise
_SHARE_FIRST: Final = 1 / 16  # of a group, that is 312 records or 250 kB
_SHARE_MIN: Final = 1 / 256  # 19 records or 16 kB: a broker that cannot take these in 5 s is as good as away
_GROWTH: Final = 2.0
_SHRINKING: Final = 4.0
_LEFT_COUNT_MAX: Final = 1_000  # one page of a listing; "more than enough to look at" needs no exact number


class DrainReport(NamedTuple):
    """What a run did. `left`: objects still there at its end, counted up to 1,000; `oldest_us`: the first's acceptance.

    `unreadable`: objects of another form, left where they are. `stopped`: why it ended early, "" if it did not.
    `postponed`: objects that stay, all of them published, for an erased record that `keep` could not drop.
    """

    published: int = 0
    deleted: int = 0
    left: int = 0
    unreadable: int = 0
    oldest_us: int | None = None
    stopped: str = ""
    postponed: int = 0


class Line(Protocol):
    """The invocation's log line, as a job sees it."""

    def note(self, **fields: str | int | None) -> None:
        """Add fields."""

    def count(self, **counts: float) -> None:
        """Add counts, which become metrics."""


class _Spooled(NamedTuple):
    """`is_done_once_sent`: whether the object may go then."""

    name: str
    records: list[Record]
    is_done_once_sent: bool


def keep_all(_record: Record) -> bool:
    """Nothing was erased."""
    return True


def run_drain_spool(
    spool: ObjectStore,
    log: EventLog,
    owner: str,
    now_us: Callable[[], int],
    line: Line,
    *,
    keep: Callable[[Record], bool] = keep_all,
) -> None:
    """The job: drain and say what was done on the line."""
    report = drain_spool(spool, log, owner, now_us, keep=keep)
    line.count(
        drained_records=report.published,
        drained_objects=report.deleted,
        spooled_objects_left=report.left,
        unreadable_spool_objects=report.unreadable,
        spool_age_seconds=0 if report.oldest_us is None else max(0.0, (now_us() - report.oldest_us) / 1_000_000),
    )
    if report.stopped:
        line.note(drain_stopped=report.stopped)
    if report.postponed:
        line.note(postponed_spool_objects=report.postponed)


def drain_spool(
    spool: ObjectStore,
    log: EventLog,
    owner: str,
    now_us: Callable[[], int],
    *,
    seconds_max: float = DRAIN_SECONDS_MAX,
    keep: Callable[[Record], bool] = keep_all,
) -> DrainReport:
    """Publish what is spooled until all is done, something fails or the time is over.

    `owner`: an id of this run. `keep`: False for a record that was erased meanwhile; it is dropped. Where it raises
    StoreUnavailable or StoreRejected the record is not sent, and its object stays. Errors of the object store pass
    through: nothing is lost by them.
    """
    started_us = now_us()
    lease = take_lease(spool, owner, started_us, seconds_max + _LEASE_MARGIN_SECONDS)
    if lease is None:
        return DrainReport(stopped="another drain holds the lease")
    try:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="drain") as pool:
            run = _Run(spool, log, keep, pool, lambda: now_us() < started_us + int(seconds_max * 1_000_000))
            run.drain(started_us - _SETTLED_US)
        return run.report()
    finally:
        spool.delete(lease)


class _Run:
    def __init__(
        self,
        spool: ObjectStore,
        log: EventLog,
        keep: Callable[[Record], bool],
        pool: ThreadPoolExecutor,
        has_time: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._log = log
        self._keep = keep
        self._pool = pool
        self._has_time = has_time
        self._share = _SHARE_FIRST
        self._published = self._deleted = self._unreadable = self._postponed = 0
        self._stopped = ""

    def drain(self, settled_us: int) -> None:
        entries = _settled(self._spool.list(SPOOL_PREFIX), settled_us)
        for chunk in _chunks_of(entries):
            for group in _groups_of(self._read(chunk)):
                if not self._has_time():
                    self._stopped = "out of time"
                if self._stopped:
                    return
                self._publish(group)

    def report(self) -> DrainReport:
        left = [entry.name for entry in islice(self._spool.list(SPOOL_PREFIX), _LEFT_COUNT_MAX)]
        oldest_us = next((time for time in map(accepted_us_of, left) if time is not None), None)
        return DrainReport(
            self._published, self._deleted, len(left), self._unreadable, oldest_us, self._stopped, self._postponed
        )

    def _read(self, names: Sequence[str]) -> Iterator[_Spooled]:
        """Each object as its turn comes; one that is gone was published by a drain before."""
        for name, body in zip(names, self._pool.map(self._spool.get, names), strict=True):
            try:
                if body is not None and accepted_us_of(name) is not None:
                    yield self._screen(name, decode_spool(body))
                elif body is not None:
                    self._unreadable += 1
            except SpoolUnreadable:
                self._unreadable += 1

    def _screen(self, name: str, records: Iterable[Record]) -> _Spooled:
        kept: list[Record] = []
        is_done_once_sent = True
        for record in records:
            try:
                if self._keep(record):
                    kept.append(record)
            except (StoreUnavailable, StoreRejected):
                is_done_once_sent = False
        return _Spooled(name, kept, is_done_once_sent)

    def _publish(self, group: Sequence[_Spooled]) -> None:
        acknowledged = iter(self._append([record for spooled in group for record in spooled.records]))
        done: list[str] = []
        for spooled in group:
            taken = list(islice(acknowledged, len(spooled.records)))
            self._published += sum(taken)
            if not all(taken):
                self._stopped = self._stopped or f"{taken.count(False)} of {len(taken)} not acknowledged"
            if not self._stopped and spooled.is_done_once_sent:
                done.append(spooled.name)
            elif not self._stopped:
                self._postponed += 1
        for _ in self._pool.map(self._spool.delete, done):
            self._deleted += 1

    def _append(self, records: Sequence[Record]) -> list[bool]:
        """True up to the first record that is not acknowledged, however small the step in which it is sent."""
        done = 0
        while done < len(records):
            step = _step_of(records[done:], self._share)
            try:
                acknowledged = self._log.append(step)
            except LogUnavailable as error:
                self._stopped = f"log unavailable: {error}"
                break
            done += [*acknowledged, False].index(False)
            if all(acknowledged):
                self._share = min(1.0, self._share * _GROWTH)
            elif self._share > _SHARE_MIN and self._has_time():
                self._share = max(_SHARE_MIN, self._share / _SHRINKING)
            else:
                break
        return [True] * done + [False] * (len(records) - done)


def _settled(entries: Iterable[ObjectEntry], settled_us: int) -> Iterator[ObjectEntry]:
    """Entries up to the first that was accepted after `settled_us`."""
    for entry in entries:
        accepted_us = accepted_us_of(entry.name)
        if accepted_us is not None and accepted_us > settled_us:
            return
        yield entry


def _chunks_of(entries: Iterable[ObjectEntry]) -> Iterator[list[str]]:
    """Names that are read together, bounded in number and bytes; one object always fits."""
    chunk: list[str] = []
    size = 0
    for entry in entries:
        if chunk and (len(chunk) == _OBJECTS_AT_ONCE or size + entry.size > _CHUNK_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry.name)
        size += entry.size
    if chunk:
        yield chunk


def _step_of(records: Sequence[Record], share: float) -> Sequence[Record]:
    """The first of the records: as many as make a share of a group, at least one."""
    first = records[: max(1, int(share * _RECORDS_AT_ONCE))]
    size = 0
    for number, record in enumerate(first):
        size += len(record.value)
        if number and size > share * _BYTES_AT_ONCE:
            return first[:number]
    return first


def _groups_of(objects: Iterable[_Spooled]) -> Iterator[list[_Spooled]]:
    """Objects whose records are appended together, bounded likewise."""
    group: list[_Spooled] = []
    records = size = 0
    for spooled in objects:
        its_size = sum(len(record.value) for record in spooled.records)
        if group and (records + len(spooled.records) > _RECORDS_AT_ONCE or size + its_size > _BYTES_AT_ONCE):
            yield group
            group, records, size = [], 0, 0
        group.append(spooled)
        records += len(spooled.records)
        size += its_size
    if group:
        yield group
