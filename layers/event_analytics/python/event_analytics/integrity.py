"""Archive against ClickHouse: what of one hour of acceptance is missing, extra or in conflict.

Decides and holds the SQL; `integrity_run` reads. An id is judged by all creates of it that the hour's archive holds and
all rows that ClickHouse has of it, whenever accepted; so a row that an earlier create made is no difference, and an id
that a change deleted is none. A record that holds no event is a dead letter and is not expected in ClickHouse; nor is
one of an erased user, which the archive may still hold while the erasure runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from event_analytics.change import decode_stored_change
from event_analytics.event import decode_stored_event
from event_analytics.fold import TOMBSTONE_VERSION_MIN, Statement
from event_analytics.id_lists import IDS_SQL, pack_ids
from event_analytics.kafka_batch import KafkaRecord

LISTED_MAX: Final = 100  # differences of each kind that are named; all are counted
ROWS_AT_ONCE: Final = 50_000  # of a reading of one hour's rows: some 10 MB in memory
# A change's version is its acceptance plus its place in the request: it may stand in the archive's hour before.
CHANGE_VERSION_MARGIN_US: Final = 10_000
_BY_INDEX: Final = (
    "max_projection_rows_to_use_projection_index = 1000000000, min_table_rows_to_use_projection_index = 0"
)

_ROWS_OF_IDS: Final = f"""
SELECT id, user_id, conversation_id, toUnixTimestamp64Milli(timestamp) AS timestamp_ms, accepted_us, version, is_deleted
FROM
(
    SELECT id, user_id, conversation_id, timestamp, accepted_us, version, is_deleted FROM events
    WHERE id IN {IDS_SQL}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, toStartOfHour(timestamp)
)
SETTINGS {_BY_INDEX}
"""  # noqa: S608 - constants of ours

_CHANGES_OF_IDS: Final = f"""
SELECT DISTINCT change_id FROM event_changes WHERE id IN {IDS_SQL}
"""  # noqa: S608 - a constant of ours

_COUNT_EVENTS: Final = """
SELECT count() AS number FROM events
WHERE accepted_us >= {start_us:UInt64} AND accepted_us < {end_us:UInt64}
"""
_COUNT_CHANGES: Final = """
SELECT count() AS number FROM event_changes
WHERE version >= {start_us:UInt64} AND version < {end_us:UInt64}
"""
_PART_OF_EVENTS: Final = """
SELECT DISTINCT id FROM events
WHERE accepted_us >= {start_us:UInt64} AND accepted_us < {end_us:UInt64}
    AND cityHash64(id) % {parts:UInt32} = {part:UInt32}
"""
_PART_OF_CHANGES: Final = """
SELECT DISTINCT id, change_id FROM event_changes
WHERE version >= {start_us:UInt64} AND version < {end_us:UInt64}
    AND cityHash64(change_id) % {parts:UInt32} = {part:UInt32}
"""


class Kind(StrEnum):
    """What is wrong with an id."""

    MISSING = "missing"  # archived, not in ClickHouse
    EXTRA = "extra"  # accepted in the hour, in ClickHouse, not archived
    CONFLICTING = "conflicting"  # counted twice, or by other key fields than its first accepted create


class Span(NamedTuple):
    """A part of one hour of acceptance, half-open, Unix microseconds."""

    start_us: int
    end_us: int

    @property
    def parameters(self) -> dict[str, int]:
        """For SQL."""
        return self._asdict()


class KeyFields(NamedTuple):
    """What no change may touch."""

    user_id: str
    conversation_id: str
    timestamp_ms: int


class Difference(NamedTuple):
    """One listed id. `archived` and `stored` say what each side has, "" for nothing."""

    kind: Kind
    topic: str
    id: UUID
    archived: str = ""
    stored: str = ""


class Report(msgspec.Struct):
    """What a check found. `resolved`: ids sent with several keys of which the first accepted rightly counts.

    `undecodable`: archived records that hold no event or change. `duplicates`: archived creates that repeat an id, and
    count once. `erased`: archived records and rows about to go.
    `unreadable`: names of damaged objects, whose records the check could not see: what they hold seems extra.
    """

    start: datetime
    end: datetime
    archived_events: int = 0
    archived_changes: int = 0
    missing: int = 0
    extra: int = 0
    conflicting: int = 0
    resolved: int = 0
    undecodable: int = 0
    duplicates: int = 0
    erased: int = 0
    unreadable: list[str] = []
    listed: list[Difference] = []

    @property
    def is_clean(self) -> bool:
        """Whether both sides hold the same."""
        return not (self.missing or self.extra or self.conflicting or self.unreadable)

    def add(self, difference: Difference, listed_max: int = LISTED_MAX) -> None:
        """Count it, and list it while there is room for its kind."""
        number = getattr(self, difference.kind.value)
        setattr(self, difference.kind.value, number + 1)
        if number < listed_max:
            self.listed.append(difference)

    def ids(self, kind: Kind) -> list[UUID]:
        """The listed ids of a kind."""
        return [each.id for each in self.listed if each.kind is kind]


class ArchivedCreate(NamedTuple):
    """A create as the archive has it."""

    id: UUID
    accepted_us: int
    fields: KeyFields


class ArchivedChange(NamedTuple):
    """A change as the archive has it."""

    id: UUID
    change_id: UUID


class StoredRow(NamedTuple):
    """The newest row of an id under one sorting key."""

    fields: KeyFields
    accepted_us: int
    version: int
    is_deleted: bool

    @property
    def is_hidden_by_conflict(self) -> bool:
        """Whether another key of the id counts instead."""
        return self.is_deleted and self.version >= TOMBSTONE_VERSION_MIN


def read_create(record: KafkaRecord) -> ArchivedCreate | None:
    """The create inside an archived record; None if it holds none."""
    try:
        event = decode_stored_event(record.value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    timestamp_ms = round(event.timestamp.timestamp() * 1_000)
    return ArchivedCreate(event.id, event.accepted_us, KeyFields(event.user_id, event.conversation_id, timestamp_ms))


def read_change(record: KafkaRecord) -> ArchivedChange | None:
    """The change inside an archived record; None if it holds none."""
    try:
        change = decode_stored_change(record.value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return ArchivedChange(change.id, change.change_id)


def compile_rows(ids: Sequence[UUID]) -> Statement:
    """The newest row per key of each id, as `group_rows` reads them."""
    return Statement(_ROWS_OF_IDS, pack_ids(ids))


def compile_changes(ids: Sequence[UUID]) -> Statement:
    """The logged changes of the ids: rows {change_id}."""
    return Statement(_CHANGES_OF_IDS, pack_ids(ids))


def compile_count(span: Span, *, is_changes: bool) -> Statement:
    """How many rows of the span there are: one row {number}."""
    return Statement(_COUNT_CHANGES if is_changes else _COUNT_EVENTS, span.parameters)


def compile_part(span: Span, part: int, parts: int, *, is_changes: bool) -> Statement:
    """The ids of one of so many parts of a span: rows {id}, for changes {id, change_id}."""
    sql = _PART_OF_CHANGES if is_changes else _PART_OF_EVENTS
    return Statement(sql, {**span.parameters, "part": part, "parts": parts})


def parts_of(number: int) -> int:
    """In how many parts so many rows are read."""
    return max(1, -(-number // ROWS_AT_ONCE))


def group_rows(rows: Iterable[Mapping[str, Any]]) -> dict[UUID, list[StoredRow]]:
    """The rows of `compile_rows`, by id."""
    grouped: dict[UUID, list[StoredRow]] = {}
    for row in rows:
        fields = KeyFields(row["user_id"], row["conversation_id"], row["timestamp_ms"])
        stored = StoredRow(fields, row["accepted_us"], row["version"], bool(row["is_deleted"]))
        grouped.setdefault(UUID(row["id"]), []).append(stored)
    return grouped


def judge(creates: Sequence[ArchivedCreate], rows: Sequence[StoredRow]) -> tuple[Kind | None, bool]:
    """What is wrong with one id, if anything, and whether its creates disagree on the key.

    `creates`: of one id, at least one. Of those that the hour does not hold, the rows tell: a row accepted before all
    of them is that of an earlier create, which counts.
    """
    first = min(
        creates, key=lambda create: (create.accepted_us, create.fields.conversation_id, create.fields.timestamp_ms)
    )
    live = [row for row in rows if not row.is_deleted]
    has_other_key = len({create.fields for create in creates} | {row.fields for row in rows}) > 1
    # A delete reaches all keys of an id, and stays: a row that counts beside a deleted one came after it.
    is_deleted = any(row.is_deleted and not row.is_hidden_by_conflict for row in rows)
    if len(live) > 1 or (live and is_deleted):
        return Kind.CONFLICTING, has_other_key
    if live:
        (row,) = live
        is_earlier = row.accepted_us < first.accepted_us
        ties = {create.fields for create in creates if create.accepted_us == first.accepted_us}
        return (None if is_earlier or row.fields in ties else Kind.CONFLICTING), has_other_key
    # Nothing counts: right only if a change deleted the id. Rows that a conflict hides leave one that it does not.
    return (None if is_deleted else Kind.MISSING), has_other_key


def describe(fields: Iterable[KeyFields]) -> str:
    """Key fields in words, for a list."""
    return "; ".join(
        f"user_id={each.user_id} conversation_id={each.conversation_id} timestamp_ms={each.timestamp_ms}"
        for each in sorted(set(fields))
    )
