"""One id under two sorting keys: which ids could be, which of their rows stays, and the SQL that hides the others.

An id that comes with another conversation or another hour of its timestamp is another row of the table and would count
twice. The first accepted stays; ties go to the smaller key. The others get a tombstone above every version that a fold
can give, whose order among tombstones is that of acceptance: a key's earliest acceptance survives every merge. A key
that turns out to be the first accepted after all, because its create came late, loses its tombstone again.
`conflict_settling` does it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from event_analytics.fold import TOMBSTONE_VERSION_MIN, Statement
from event_analytics.identifiers import timestamp_ms_of

CREATE_VERSION_MAX: Final = 2**52  # of a row that no fold has touched: this minus its acceptance
# Folds stay below it until the year 2041: 4096 times microseconds.
_HOUR_SECONDS: Final = 3_600
_HOUR_MS: Final = 3_600_000

_IDS: Final = "(SELECT arrayJoin({ids:Array(UUID)}))"
_HOUR: Final = "toUnixTimestamp(toStartOfHour(timestamp))"
# An index that has to read more rows than this is not used: its default of 1,000,000 is 3,900 ids.
_BY_INDEX: Final = (
    "max_projection_rows_to_use_projection_index = 1000000000, min_table_rows_to_use_projection_index = 0"
)
_NOT_DEDUPLICATED: Final = (
    "insert_deduplicate = 0"  # equal rows may have to come again after a tombstone was taken away
)
_EVENT_COLUMNS: Final = (
    "id, user_id, conversation_id, timestamp, event_name, error, latency_ms, input, output, conversation_metadata, "
    "properties"
)
_EMBEDDING_COLUMNS: Final = "id, conversation_id, timestamp, input_embeddings, output_embeddings"

_LOOKUP: Final = f"""
SELECT id, groupArray((conversation_id, hour, first_us, kept_us, newest)) AS keys
FROM
(
    SELECT id, conversation_id, {_HOUR} AS hour,
        min(accepted_us) AS first_us, argMax(accepted_us, (version, -accepted_us)) AS kept_us, max(version) AS newest
    FROM events
    WHERE id IN {_IDS}
    GROUP BY id, conversation_id, hour
)
GROUP BY id
HAVING count() > 1 OR max(newest) > {CREATE_VERSION_MAX}
SETTINGS {_BY_INDEX}
"""  # noqa: S608 - constants of ours

_ASKED: Final = """
    SELECT asked.1 AS id, asked.2 AS conversation_id, asked.3 AS hour, asked.4 AS first_us
    FROM (SELECT arrayJoin(arrayZip({ids:Array(UUID)}, {conversations:Array(String)}, {hours:Array(UInt32)},
        {firsts:Array(UInt64)})) AS asked)
"""


def _newest_rows(table: str) -> str:
    return f"""
    SELECT *, {_HOUR} AS hour FROM {table}
    WHERE id IN {_IDS}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, hour
"""  # noqa: S608 - a name of ours


def _event_copies(version: str, is_deleted: str) -> str:
    columns = ", ".join(f"kept.{name} AS {name}" for name in _EVENT_COLUMNS.split(", "))
    return f"""
INSERT INTO events ({_EVENT_COLUMNS}, accepted_us, version, is_deleted)
SELECT {columns}, asked.first_us, {version}, {is_deleted}
FROM ({_newest_rows("events")}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
SETTINGS {_NOT_DEDUPLICATED}
"""  # noqa: S608 - constants of ours


_TOMBSTONE_VERSION: Final = f"{TOMBSTONE_VERSION_MIN} + {CREATE_VERSION_MAX} - asked.first_us"
# Written where there are no embeddings too: a fold may be about to write some.
_HIDE_EMBEDDINGS: Final = f"""
INSERT INTO event_embeddings ({_EMBEDDING_COLUMNS}, accepted_us, version, is_deleted)
SELECT kept.id, kept.conversation_id, kept.timestamp, vectors.input_embeddings, vectors.output_embeddings,
    asked.first_us, {_TOMBSTONE_VERSION}, 1
FROM ({_newest_rows("events")}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
LEFT JOIN ({_newest_rows("event_embeddings")}) AS vectors
    ON kept.id = vectors.id AND kept.conversation_id = vectors.conversation_id AND kept.hour = vectors.hour
SETTINGS {_NOT_DEDUPLICATED}
"""  # noqa: S608 - constants of ours
_HIDE: Final = (_event_copies(_TOMBSTONE_VERSION, "1"), _HIDE_EMBEDDINGS)
_BACKDATE: Final = (_event_copies("kept.version", "kept.is_deleted"),)  # of equal versions the last insert counts


def _revived_rows(table: str, columns: str) -> str:
    """The rows as they shall be: their version lies just below that of the create, which counts if it is there."""
    names = ", ".join(f"kept.{name} AS {name}" for name in columns.split(", "))
    return f"""
SELECT {names}, asked.first_us AS accepted_us, {CREATE_VERSION_MAX} - asked.first_us - 1 AS version, 0 AS is_deleted
FROM ({_newest_rows(table)}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
"""  # noqa: S608 - constants of ours


def _unhide(table: str) -> str:
    return f"""
DELETE FROM {table}
WHERE id IN {_IDS} AND (id, conversation_id, {_HOUR}) IN (SELECT id, conversation_id, hour FROM ({_ASKED}))
    AND version >= {TOMBSTONE_VERSION_MIN}
"""  # noqa: S608 - a name of ours


class Revival(NamedTuple):
    """How hidden rows of one table come back: what they hold, how the tombstones go, and the columns to insert."""

    table: str
    rows: Statement
    unhide: Statement
    columns: tuple[str, ...]


class Create(Protocol):
    """What of a create decides; `event.StoredEvent` is one."""

    @property
    def id(self) -> UUID:
        """The event's."""
        ...

    @property
    def conversation_id(self) -> str:
        """Empty for none."""
        ...

    @property
    def timestamp(self) -> datetime:
        """UTC."""
        ...

    @property
    def accepted_us(self) -> int:
        """Unix microseconds."""
        ...


class Key(NamedTuple):
    """What of an event's sorting key may differ for one id. `hour`: Unix seconds."""

    conversation_id: str
    hour: int


class KeyState(NamedTuple):
    """The rows of one id under one key. `first_us`: earliest acceptance; `kept_us`: that of the row that counts."""

    first_us: int
    kept_us: int
    newest_version: int

    @property
    def is_hidden(self) -> bool:
        """Whether a tombstone of a conflict counts."""
        return self.newest_version >= TOMBSTONE_VERSION_MIN


class KeyRows(NamedTuple):
    """Rows of an id to act on, and the earliest acceptance that they shall carry."""

    id: UUID
    key: Key
    first_us: int


class Settlement(NamedTuple):
    """What has to be written. `backdate`: rows that a fold made of a create that was not the first accepted."""

    hide: list[KeyRows]
    revive: list[KeyRows]
    backdate: list[KeyRows]

    @property
    def ids(self) -> list[UUID]:
        """The ids whose rows another row wins over from now on."""
        return list({rows.id: None for rows in (*self.hide, *self.revive)})


def key_of(create: Create) -> Key:
    """The key of the row that a create becomes."""
    return Key(create.conversation_id, int(create.timestamp.timestamp()) // _HOUR_SECONDS * _HOUR_SECONDS)


def conflict_candidates(creates: Iterable[Create]) -> list[UUID]:
    """The ids that could stand under another key too, each once: those that do not tell their event's hour.

    An id of version 7 whose time lies in the hour of the timestamp or beside it is looked at only if the batch itself
    holds it under two keys: looking up each would cost every load what it costs here. The scheduled check of archive
    against ClickHouse finds the others.
    """
    keys: dict[UUID, Key] = {}
    found: dict[UUID, None] = {}
    for create in creates:
        key = key_of(create)
        if keys.setdefault(create.id, key) != key or not _tells_hour(create.id, key.hour):
            found[create.id] = None
    return list(found)


def _tells_hour(identifier: UUID, hour: int) -> bool:
    time_ms = timestamp_ms_of(identifier)
    return time_ms is not None and abs(time_ms // _HOUR_MS - hour // _HOUR_SECONDS) <= 1


def compile_lookup(ids: Sequence[UUID]) -> Statement:
    """Ids that stand under several keys or were folded or hidden: rows {id, keys}, as `decide` reads them."""
    return Statement(_LOOKUP, {"ids": [str(identifier) for identifier in ids]})


def decide(rows: Iterable[Mapping[str, Any]], creates: Iterable[Create]) -> Settlement:
    """What to write, from the rows of a lookup and the creates just inserted, which a merge may have swallowed."""
    arrived: dict[tuple[UUID, Key], int] = {}
    for create in creates:
        place = (create.id, key_of(create))
        arrived[place] = min(create.accepted_us, arrived.get(place, create.accepted_us))
    settlement = Settlement([], [], [])
    for row in rows:
        identifier = UUID(row["id"])
        states = {}
        for conversation_id, hour, first_us, kept_us, newest in row["keys"]:
            key = Key(conversation_id, hour)
            first_us = min(first_us, arrived.get((identifier, key), first_us))  # noqa: PLW2901 - what is known of it
            states[key] = KeyState(first_us, kept_us, newest)
        _settle_id(identifier, states, settlement)
    return settlement


def _settle_id(identifier: UUID, states: Mapping[Key, KeyState], settlement: Settlement) -> None:
    winner = min(states, key=lambda key: (states[key].first_us, key))
    for key, state in states.items():
        rows = KeyRows(identifier, key, state.first_us)
        if key != winner:
            if not state.is_hidden or state.kept_us > state.first_us:
                settlement.hide.append(rows)
        elif state.is_hidden:
            settlement.revive.append(rows)
        elif state.kept_us > state.first_us:
            settlement.backdate.append(rows)


def compile_hiding(settlement: Settlement) -> list[Statement]:
    """Tombstones, and acceptance times put right. They may run again."""
    steps = ((_HIDE, settlement.hide), (_BACKDATE, settlement.backdate))
    return [Statement(sql, _parameters(rows)) for statements, rows in steps if rows for sql in statements]


def compile_revivals(revived: Sequence[KeyRows]) -> list[Revival]:
    """For each table: what to hold in memory, and what then takes the tombstones away."""
    parameters = _parameters(revived)
    return [
        Revival(
            table,
            Statement(_revived_rows(table, columns), parameters),
            Statement(_unhide(table), parameters),
            (*columns.split(", "), "accepted_us", "version", "is_deleted"),
        )
        for table, columns in (("event_embeddings", _EMBEDDING_COLUMNS), ("events", _EVENT_COLUMNS))
    ]


def _parameters(rows: Sequence[KeyRows]) -> dict[str, Any]:
    return {
        "ids": [str(each.id) for each in rows],
        "conversations": [each.key.conversation_id for each in rows],
        "hours": [each.key.hour for each in rows],
        "firsts": [each.first_us for each in rows],
    }
