"""How far the scheduled integrity check has come: one small object in S3, and which hour follows from it.

`state/v1/verified.json` holds hours and numbers of objects, nothing of an event. Hours are Unix seconds of their start.
Whoever checks keeps it after each hour, so what a run does not get to is what the next one begins with.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import takewhile
from typing import Final

import msgspec

from event_analytics.archive_keys import RAW_PREFIX, hour_prefix, parse_key
from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.ports import ErasableStore, ObjectStore
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC

CURSOR_NAME: Final = "state/v1/verified.json"
# Hours in which objects that come late are looked for, by their names: a spool that is drained within two days. Of an
# archive of 12 partitions that writes an object a minute they are some 70 lists of 1,000 names, once an hour.
LATE_HOURS: Final = 48


class Cursor(msgspec.Struct, frozen=True):
    """All before `checked_until` was checked, but what of `again` is left, which changed since.

    `objects`: how many each checked hour had when its check began; of hours without any there is no entry.
    `looked_until`: objects that came late were looked for when this hour was the first that was not over.
    """

    checked_until: int
    looked_until: int
    again: tuple[int, ...] = ()
    objects: dict[int, int] = {}


def first_cursor(end: int, objects: Mapping[int, int]) -> Cursor:
    """Of an archive that was never checked: the last full hour before `end` is the first; `objects` until there."""
    start = end - HOUR_SECONDS
    return Cursor(start, end, (), {hour: number for hour, number in objects.items() if hour < start})


def next_hour(cursor: Cursor, end: int, begun: int | None = None) -> int | None:
    """The hour to check now: `begun` if it is due, else the oldest that is; None if none is that ends by `end`."""
    due = (*cursor.again, *([cursor.checked_until] if cursor.checked_until < end else []))
    return begun if begun in due else next(iter(due), None)


def with_late(cursor: Cursor, end: int, objects: Mapping[int, int]) -> Cursor:
    """The cursor once late objects were looked for: hours that have more than they were checked with are due again.

    Fewer are no reason: objects go only when their retention ends.
    """
    grown = {
        hour for hour, number in objects.items() if hour < cursor.checked_until and number > cursor.objects.get(hour, 0)
    }
    kept = {hour: number for hour, number in cursor.objects.items() if hour >= end - LATE_HOURS * HOUR_SECONDS}
    return Cursor(cursor.checked_until, end, tuple(sorted({*cursor.again, *grown})), kept)


def with_checked(cursor: Cursor, hour: int, objects: int) -> Cursor:
    """The cursor once an hour was checked that had so many objects when that began."""
    return Cursor(
        max(cursor.checked_until, hour + HOUR_SECONDS),
        cursor.looked_until,
        tuple(each for each in cursor.again if each != hour),
        {**cursor.objects, hour: objects},
    )


def count_objects(objects: ObjectStore, start: int, end: int) -> Counter[int]:
    """How many archived objects each hour from `start` until before `end` has, by their names alone."""
    until = datetime.fromtimestamp(end, UTC)
    counts: Counter[int] = Counter()
    for topic in (EVENTS_TOPIC, EVENT_CHANGES_TOPIC):
        after = hour_prefix(topic, datetime.fromtimestamp(start, UTC))
        keys = (parse_key(entry.name) for entry in objects.list(f"{RAW_PREFIX}topic={topic}/", after))
        within = takewhile(lambda key: key is None or key.hour < until, keys)
        counts.update(int(key.hour.timestamp()) for key in within if key is not None)
    return counts


def read_cursor(objects: ObjectStore) -> Cursor | None:
    """The cursor as kept; None where there is none that can be read."""
    try:
        return msgspec.json.decode(objects.get(CURSOR_NAME) or b"", type=Cursor)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def keep_cursor(objects: ErasableStore, cursor: Cursor) -> None:
    """Keep it in place of the one before. The errors of the object store pass through."""
    body = msgspec.json.encode(cursor)
    if not objects.rewrite(CURSOR_NAME, lambda _before: body):
        objects.put_new(CURSOR_NAME, body)
