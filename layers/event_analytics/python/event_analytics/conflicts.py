"""One id under two sorting keys: which ids could be, and which of their rows stays.

An id that comes with another conversation or another hour of its timestamp is another row of the table and would count
twice. The first accepted stays; ties go to the smaller key. The others get a tombstone above every version that a fold
can give, whose order among tombstones is that of acceptance: a key's earliest acceptance survives every merge. A key
that turns out to be the first accepted after all, because its create came late, loses its tombstone again.
`conflict_sql` has the statements, `conflict_settling` runs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from event_analytics.fold import TOMBSTONE_VERSION_MIN
from event_analytics.hour_marks import HOUR_SECONDS
from event_analytics.identifiers import timestamp_ms_of

CREATE_VERSION_MAX: Final = 2**52  # of a row that no fold has touched: this minus its acceptance
# Folds stay below it until the year 2041: 4096 times microseconds.
_HOUR_MS: Final = 3_600_000


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

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.hide or self.revive or self.backdate)


def key_of(create: Create) -> Key:
    """The key of the row that a create becomes."""
    return Key(create.conversation_id, int(create.timestamp.timestamp()) // HOUR_SECONDS * HOUR_SECONDS)


def conflict_candidates(creates: Sequence[Create]) -> list[UUID]:
    """The ids that could stand under another key too, each once: those that do not tell their event's hour.

    An id of version 7 whose time lies in the hour of the timestamp is looked at only if the batch itself holds it under
    two keys: looking up each would cost every load what it costs here. The scheduled check of archive against
    ClickHouse finds the others, those of another conversation. One in the hour beside is looked at: a client that sends
    an id again with the time of the new attempt comes there, and few others do, within moments of a full hour.
    """
    found = {create.id: None for create in creates if not _tells_hour(create)}
    if len({create.id.int for create in creates}) < len(creates):  # numbers, as hashing a UUID costs a call
        found |= _under_two_keys(creates)
    return list(found)


def _tells_hour(create: Create) -> bool:
    time_ms = timestamp_ms_of(create.id)
    return time_ms is not None and time_ms // _HOUR_MS == create.timestamp.timestamp() // HOUR_SECONDS


def _under_two_keys(creates: Iterable[Create]) -> dict[UUID, None]:
    firsts: dict[UUID, Create] = {}
    return {
        create.id: None
        for create in creates
        if (first := firsts.setdefault(create.id, create)) is not create and key_of(first) != key_of(create)
    }


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


def hidden_since(
    rows: Iterable[Mapping[str, Any]], revived: Iterable[KeyRows], settlement: Settlement
) -> list[KeyRows]:
    """Those of the revived keys that somebody else has hidden meanwhile, and that shall stay hidden.

    Their embeddings may have come back after they were hidden: both tables have to be hidden once more.
    """
    hidden = {
        (UUID(row["id"]), Key(conversation_id, hour)): first_us
        for row in rows
        for conversation_id, hour, first_us, _, newest in row["keys"]
        if newest >= TOMBSTONE_VERSION_MIN
    }
    decided = {(each.id, each.key) for each in (*settlement.hide, *settlement.revive)}
    places = {(each.id, each.key): each.first_us for each in revived}
    return [
        KeyRows(*place, min(first_us, hidden[place]))
        for place, first_us in places.items()
        if place in hidden and place not in decided
    ]


def hours_in_conflict(rows: Iterable[Mapping[str, Any]], settlement: Settlement) -> set[int]:
    """The hours (Unix seconds) of all keys of ids that have several, or that are settled now.

    Of ids that need nothing any more, too: who settled them may have died before it marked the hours (`hour_marks`).
    """
    settled = set(settlement.ids)
    return {hour for row in rows if len(row["keys"]) > 1 or UUID(row["id"]) in settled for _, hour, *_ in row["keys"]}
