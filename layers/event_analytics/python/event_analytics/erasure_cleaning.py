"""Takes erased records out of the bucket, place by place and in the order of names, so that it can go on anywhere.

What an object is going to lose is counted and written down before it loses it: a runner that dies in between leaves the
counts as they would have been.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final, NamedTuple

from event_analytics.erasure import Erased, Hit
from event_analytics.erasure_places import PLACES, Place, Sifted
from event_analytics.erasure_state import Cursor, ErasureRun
from event_analytics.errors import LogUnavailable
from event_analytics.ports import ErasableStore, EventLog, FormerVersion, ObjectEntry
from event_analytics.routing import Record

_OBJECTS_AT_ONCE: Final = 64  # S3 answers in 10 to 50 ms: one at a time would read 20 objects a second
_BYTES_AT_ONCE: Final = 32_000_000  # gzipped, in memory
_THREADS: Final = 10  # boto3 keeps 10 connections per client
_RECORDS_AT_ONCE: Final = 5_000  # in one append


class _Found(NamedTuple):
    """One object, or one of its former versions, and what of it is erased."""

    name: str
    former: FormerVersion | None
    sifted: Sifted


@dataclass(frozen=True)
class Cleaner:
    """What cleaning needs. `write` stores a state and returns it; `note_ids` remembers the ids of erased creates."""

    objects: ErasableStore
    log: EventLog
    erased: Erased
    write: Callable[[ErasureRun], ErasureRun]
    note_ids: Callable[[Iterable[Hit]], None]
    is_over: Callable[[], bool]

    def clean(self, run: ErasureRun) -> ErasureRun:
        """The state after all places, or as far as the time went: `cursor.place` tells.

        Raises:
            LogUnavailable: what must be sent again was not acknowledged. The state that was stored last counts.
        """
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="erase") as pool:
            while run.cursor.place < len(PLACES):
                place = PLACES[run.cursor.place]
                for names in self._chunks_of(place, run.cursor.done):
                    run = self._clean_chunk(run, place, list(self._sift(place, names, pool)))
                    if self.is_over():
                        return run
                run = run.counting(place.name, {}).changed(cursor=Cursor(run.cursor.place + 1))
        return run

    def _chunks_of(self, place: Place, after: str) -> Iterator[list[ObjectEntry | FormerVersion]]:
        if not place.is_former:
            yield from _chunks_of(self.objects.list(place.prefix, after))
            return
        chunk: list[ObjectEntry | FormerVersion] = []
        for _, of_one_name in groupby(self.objects.former(place.prefix, after), key=lambda former: former.name):
            chunk += of_one_name
            if len(chunk) >= _OBJECTS_AT_ONCE:  # it ends with all of a name, since the next begins after that name
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _sift(
        self, place: Place, entries: Sequence[ObjectEntry | FormerVersion], pool: ThreadPoolExecutor
    ) -> Iterator[_Found]:
        for entry, body in zip(entries, pool.map(self._read, entries), strict=True):
            former = entry if isinstance(entry, FormerVersion) else None
            sifted = Sifted(None, [], []) if body is None else place.sift(entry.name, body, self.erased)
            yield _Found(entry.name, former, sifted)

    def _read(self, entry: ObjectEntry | FormerVersion) -> bytes | None:
        return self.objects.get_former(entry) if isinstance(entry, FormerVersion) else self.objects.get(entry.name)

    def _clean_chunk(self, run: ErasureRun, place: Place, chunk: list[_Found]) -> ErasureRun:
        cursor, last = run.cursor, chunk[-1].name
        hit = [found for found in chunk if found.sifted.hits]
        if hit:
            self.note_ids(each for found in hit for each in found.sifted.hits)
            fresh = [found for found in hit if found.name > cursor.counted]
            numbers = Counter(each.erasure.user_hash for found in fresh for each in found.sifted.hits)
            run = self.write(run.counting(place.name, numbers).changed(cursor=Cursor(cursor.place, cursor.done, last)))
            for found in hit:
                self._take_out(place, found)
        if not place.is_former:
            self._send_again([record for found in chunk for record in found.sifted.again])
            unreadable = {found.name for found in chunk if not found.sifted.is_readable} - set(run.unreadable)
            run = run.changed(unreadable=(*run.unreadable, *sorted(unreadable)))
        return run.changed(cursor=Cursor(cursor.place, last, last))

    def _take_out(self, place: Place, found: _Found) -> None:
        if found.former is not None:
            self.objects.forget(found.former)
        elif found.sifted.body is None:
            self.objects.delete(found.name)
        else:
            self.objects.rewrite(found.name, lambda body: place.sift(found.name, body, self.erased).body or b"")

    def _send_again(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), _RECORDS_AT_ONCE):
            missing = self.log.append(records[start : start + _RECORDS_AT_ONCE]).count(False)
            if missing:
                raise LogUnavailable(f"{missing} records of ids that were erased are not acknowledged")


def _chunks_of(entries: Iterable[ObjectEntry]) -> Iterator[list[ObjectEntry | FormerVersion]]:
    """Objects that are read together, bounded in number and bytes; one object always fits."""
    left = iter(entries)
    while chunk := list(islice(left, 1)):
        size = chunk[0].size
        while len(chunk) < _OBJECTS_AT_ONCE and size < _BYTES_AT_ONCE and (entry := next(left, None)) is not None:
            chunk.append(entry)
            size += entry.size
        yield list(chunk)
