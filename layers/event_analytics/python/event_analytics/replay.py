"""What a replay sends: which archived objects it reads, which records of them go out, and from where it continues.

Decides; `replay_run` acts. A replay has two passes, creates and then changes, so that a change finds its event:

- without a filter each pass takes the records accepted in the window, both ends exact to the millisecond;
- with one (user, conversation, event name as first sent) the first pass collects the ids of the creates it sends, and
  the second takes every change of these ids from the whole archive, whenever accepted: a delete left out would bring
  the event back.

Within a folder (one partition, hour and epoch) objects are read by offset, and one watermark drops what overlaps.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from event_analytics.archive_keys import RAW_PREFIX, ArchiveKey, hour_of, named_ms, parse_key
from event_analytics.errors import Reason, Refused
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import ObjectEntry
from event_analytics.replay_state import Position, ReplayJob
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC, Record

FILTERED_IDS_MAX: Final = 2_000_000  # 16 bytes each, about 200 MB as a set: more is a job for several windows


class Pass(NamedTuple):
    """One way through the archive: a topic, from `start_ms` until before `end_ms`; None: until now."""

    topic: str
    start_ms: int
    end_ms: int | None

    @property
    def prefix(self) -> str:
        """Under which all its objects lie."""
        return f"{RAW_PREFIX}topic={self.topic}/"

    @property
    def after(self) -> str:
        """A name before that of its first object, and after those of earlier hours."""
        return f"{self.prefix}date={hour_of(self.start_ms):%Y-%m-%d}/hour={hour_of(self.start_ms):%H}/"

    def has(self, timestamp_ms: int) -> bool:
        """Whether a record accepted then belongs to it."""
        instant_ms = named_ms(timestamp_ms)
        return self.start_ms <= instant_ms and (self.end_ms is None or instant_ms < self.end_ms)

    def is_past(self, hour: datetime) -> bool:
        """Whether nothing accepted in this hour or later belongs to it."""
        return self.end_ms is not None and hour.timestamp() * 1_000 >= self.end_ms


class ArchivedObject(NamedTuple):
    """One object of a listing: its name, what the name says, its bytes as stored."""

    name: str
    key: ArchiveKey
    size: int


class Folder(NamedTuple):
    """All objects of one partition, hour and epoch, by first offset. `path` ends in a slash."""

    path: str
    objects: list[ArchivedObject]


def passes_of(job: ReplayJob) -> tuple[Pass, Pass]:
    """Creates, then changes."""
    creates = Pass(EVENTS_TOPIC, job.start_ms, job.end_ms)
    return creates, Pass(EVENT_CHANGES_TOPIC, 0, None) if job.is_filtered else creates._replace(
        topic=EVENT_CHANGES_TOPIC
    )


def folders_of(entries: Iterable[ObjectEntry], one_pass: Pass) -> Iterator[Folder]:
    """The folders of a pass, hour by hour; `entries` as listed from `after` on. What is no archived batch is left."""
    for path, group in groupby(entries, key=lambda entry: entry.name.rpartition("/")[0] + "/"):
        objects = [
            ArchivedObject(entry.name, key, entry.size) for entry in group if (key := parse_key(entry.name)) is not None
        ]
        if not objects:
            continue
        if one_pass.is_past(objects[0].key.hour):
            return
        objects.sort(key=lambda each: (each.key.first_offset, each.key.last_offset, each.key.digest))
        yield Folder(path, objects)


def start_of(folder: Folder, position: Position) -> int:
    """The first offset of a folder that is still to be sent."""
    return position.next_offset if folder.path == position.folder else 0


Decoded = TypeVar("Decoded")


class _Create(msgspec.Struct):
    id: UUID
    user_id: str | None = None
    conversation_id: str | None = None
    event_name: str | None = None


class _Change(msgspec.Struct):
    id: UUID


_create_decoder = msgspec.json.Decoder(_Create)
_change_decoder = msgspec.json.Decoder(_Change)


class Selection:
    """Which records a job sends. `ids`: of the creates that matched its filter, 16 bytes each, those found before too.

    `fresh_ids` are those that no cursor has yet; whoever writes one empties it.
    """

    def __init__(self, job: ReplayJob, ids: Iterable[bytes] = ()) -> None:
        self._job = job
        self.ids = set(ids)
        self.fresh_ids: list[bytes] = []

    def takes(self, record: KafkaRecord, one_pass: Pass) -> bool:
        """Whether it is sent. A record that holds no event matches no filter.

        Raises:
            Refused: query_too_heavy: more ids match than fit in memory.
        """
        if not one_pass.has(record.timestamp_ms):
            return False
        if not self._job.is_filtered:
            return True
        if one_pass.topic == EVENT_CHANGES_TOPIC:
            change = _decode(_change_decoder, record)
            return change is not None and change.id.bytes in self.ids
        create = _decode(_create_decoder, record)
        if create is None or not self._matches(create):
            return False
        self._collect(create.id.bytes)
        return True

    def _matches(self, create: _Create) -> bool:
        job = self._job
        return (
            job.user_id in (None, create.user_id)
            and job.conversation_id in (None, create.conversation_id)
            and job.event_name in (None, create.event_name)
        )

    def _collect(self, identifier: bytes) -> None:
        if identifier in self.ids:
            return
        if len(self.ids) >= FILTERED_IDS_MAX:
            raise Refused(Reason.QUERY_TOO_HEAVY, f"over {FILTERED_IDS_MAX:,} events match: use shorter windows")
        self.ids.add(identifier)
        self.fresh_ids.append(identifier)


def _decode(decoder: "msgspec.json.Decoder[Decoded]", record: KafkaRecord) -> Decoded | None:
    try:
        return decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def route_replayed(record: KafkaRecord) -> Record | None:
    """The record to append: key, value and time as first sent. None for one without a value, which holds nothing."""
    if record.value is None:
        return None
    return Record(EVENTS_REPLAY_TOPIC, record.key or b"", record.value, record.timestamp_ms)
