"""Reads the archive through the port `ObjectStore`: one object in memory at a time, each offset once.

Which objects a pass needs and in what order is decided in `replay`; what is done with the records, by the caller.
"""

from collections.abc import Iterator
from typing import NamedTuple

from event_analytics.archive import ArchiveUnreadable, read_object
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import ObjectStore
from event_analytics.replay import ArchivedObject, Folder, Pass, folders_of, passes_of, start_of
from event_analytics.replay_state import Position, ReplayState


class ArchivedBatch(NamedTuple):
    """What one object gave: the records of its hour that no object before it had, whatever the pass's window.

    `repeated`: how many others it holds, by its name. `was_read`: False if it holds only those. `is_readable`: False
    if records are missing: it is damaged, or gone.
    """

    folder: str
    archived: ArchivedObject
    records: list[KafkaRecord]
    repeated: int
    was_read: bool = True
    is_readable: bool = True


class Survey(NamedTuple):
    """Objects and records of a part of the archive, repetitions left out of `records`; bytes as stored."""

    objects: int
    records: int
    archived_bytes: int


def read_archive(objects: ObjectStore, one_pass: Pass, position: Position) -> Iterator[ArchivedBatch]:
    """The objects of a pass from a position on, hour by hour, and by offset within partition and hour."""
    for folder in remaining_folders(objects, one_pass, position):
        start = following = start_of(folder, position)
        for archived in folder.objects:
            first, last = archived.key.first_offset, archived.key.last_offset
            repeated = max(0, min(following, last + 1) - max(first, start))
            if last < following:
                yield ArchivedBatch(folder.path, archived, [], repeated, was_read=False)
                continue
            records, is_readable = _read(objects, archived, following)
            if records:
                following = records[-1].offset + 1
            yield ArchivedBatch(folder.path, archived, records, repeated, is_readable=is_readable)


def _read(objects: ObjectStore, archived: ArchivedObject, following: int) -> tuple[list[KafkaRecord], bool]:
    records: list[KafkaRecord] = []
    body = objects.get(archived.name)
    try:
        if body is not None:
            records.extend(record for record in read_object(archived.key, body) if record.offset >= following)
    except ArchiveUnreadable:  # the records before the damage are kept
        return records, False
    return records, body is not None


def remaining_folders(objects: ObjectStore, one_pass: Pass, position: Position) -> Iterator[Folder]:
    """The folders of a pass from a position on."""
    return folders_of(objects.list(one_pass.prefix, max(position.folder, one_pass.after)), one_pass)


def survey(objects: ObjectStore, state: ReplayState) -> Survey:
    """What a job has still to read, told by names alone. Hours at the ends of a window and filters send less."""
    count = records = size = 0
    for position, one_pass in remaining_passes(state):
        for folder in remaining_folders(objects, one_pass, position):
            following = start_of(folder, position)
            for each in folder.objects:
                count += 1
                size += each.size
                records += max(0, each.key.last_offset + 1 - max(following, each.key.first_offset))
                following = max(following, each.key.last_offset + 1)
    return Survey(count, records, size)


def remaining_passes(state: ReplayState) -> Iterator[tuple[Position, Pass]]:
    """The passes that a job has still to make, each with the position from where."""
    for index, one_pass in enumerate(passes_of(state.job)):
        if index >= state.position.pass_index:
            yield (state.position if index == state.position.pass_index else Position(index)), one_pass
