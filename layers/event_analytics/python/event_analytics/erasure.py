"""Who was erased until when, and which records that takes away. Decides; `erasure_run` and the functions act.

A user stands in everything that is kept as SHA-256 of the id, never as the id. A create is erased if it is the user's
and was accepted at the erasure or before. A change knows only its event's id: it is erased if that event was, unless it
was accepted later. What cannot be read counts as the user's if its key, or a text that looks like its `user_id`, says
so: it is of no use to anybody else.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from event_analytics.change import is_change
from event_analytics.event import AcceptedUs
from event_analytics.integrity import CHANGE_VERSION_MARGIN_US

_HASHES_KEPT: Final = 65_536  # users come back within seconds, and a hash costs 2 us
_USER_TEXT: Final = re.compile(rb'"user_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_ID_TEXT: Final = re.compile(rb'"id"\s*:\s*"([0-9a-fA-F-]{36})"')


class Erasure(NamedTuple):
    """One user's erasure: everything accepted up to `erased_us`, Unix microseconds, included."""

    user_hash: str
    erased_us: int


class Hit(NamedTuple):
    """A record that is erased, by which erasure, and the id of the event if it is a create (None: a change)."""

    erasure: Erasure
    created_id: UUID | None


class Carried(Protocol):
    """What of a record decides; `KafkaRecord` and `Record` are two."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value."""
        ...

    @property
    def timestamp_ms(self) -> int:
        """When it was accepted, Unix milliseconds."""
        ...


class _Create(msgspec.Struct):
    id: UUID
    accepted_us: AcceptedUs
    user_id: str | None = None


class _Change(msgspec.Struct):
    id: UUID
    version: AcceptedUs


_create_decoder = msgspec.json.Decoder(_Create)
_change_decoder = msgspec.json.Decoder(_Change)
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


@lru_cache(maxsize=_HASHES_KEPT)
def hash_user(user_id: str) -> str:
    """The name under which a user is remembered as erased: 64 hex digits."""
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()


class Erased:
    """All erasures that are known. `ids`: of erased events, 16 bytes each."""

    def __init__(self, users: Mapping[str, Erasure] | None = None, ids: Mapping[bytes, Erasure] | None = None) -> None:
        self._users = dict(users or {})
        self._ids = dict(ids or {})

    @property
    def is_empty(self) -> bool:
        """Whether nobody was erased."""
        return not self._users

    def add_user(self, erasure: Erasure) -> None:
        """Remember an erasure; of several of one user the latest counts."""
        known = self._users.get(erasure.user_hash)
        if known is None or known.erased_us < erasure.erased_us:
            self._users[erasure.user_hash] = erasure

    def add_ids(self, ids: Iterable[bytes], erasure: Erasure) -> None:
        """Remember ids of events that an erasure takes away."""
        for identifier in ids:
            known = self._ids.get(identifier)
            if known is None or known.erased_us < erasure.erased_us:
                self._ids[identifier] = erasure

    def only(self, hashes: Iterable[str]) -> "Erased":
        """What of it is about these users."""
        chosen = frozenset(hashes)
        return Erased(
            {user_hash: erasure for user_hash, erasure in self._users.items() if user_hash in chosen},
            {identifier: erasure for identifier, erasure in self._ids.items() if erasure.user_hash in chosen},
        )

    def erasure_of(self, user_id: str) -> Erasure | None:
        """The latest erasure of a user."""
        return self._users.get(hash_user(user_id))

    def has_id(self, identifier: UUID, since: Erasure | None = None) -> bool:
        """Whether an event of this id was erased; with `since`, by that erasure or a later one."""
        known = self._ids.get(identifier.bytes)
        return known is not None and (since is None or known.erased_us >= since.erased_us)

    def ids(self) -> Iterable[tuple[bytes, Erasure]]:
        """All ids of erased events."""
        return self._ids.items()

    def users(self) -> Iterable[Erasure]:
        """The latest erasure of each user."""
        return self._users.values()

    def find(self, record: Carried) -> Hit | None:
        """The erasure that takes a record away, of Kafka or on its way there; None if it stays."""
        value = record.value
        if self.is_empty or value is None:
            return None
        try:
            if is_change(value):
                return self._find_change(_change_decoder.decode(value))
            return self._find_create(_create_decoder.decode(value))
        except _UNREADABLE:
            return self._find_unreadable(value, record.key or b"", record.timestamp_ms * 1_000)

    def keeps(self, record: Carried) -> bool:
        """Whether it stays."""
        return self.find(record) is None

    def _find_create(self, create: _Create) -> Hit | None:
        erasure = self._users.get(hash_user(create.user_id)) if create.user_id else None
        is_erased = erasure is not None and create.accepted_us <= erasure.erased_us
        return Hit(erasure, create.id) if erasure is not None and is_erased else None

    def _find_change(self, change: _Change) -> Hit | None:
        erasure = self._ids.get(change.id.bytes)
        is_erased = erasure is not None and change.version <= erasure.erased_us + CHANGE_VERSION_MARGIN_US
        return Hit(erasure, None) if erasure is not None and is_erased else None

    def _find_unreadable(self, value: bytes, key: bytes, accepted_us: int) -> Hit | None:
        texts = [key.decode("utf-8", "replace"), *_user_texts(value)]
        by_user = [self._users.get(hash_user(text)) for text in texts]
        by_id = [self._ids.get(identifier.bytes) for identifier in _ids_in(key, value)]
        for erasure in (*by_user, *by_id):
            if erasure is not None and accepted_us <= erasure.erased_us:
                return Hit(erasure, next(iter(_ids_in(b"", value)), None) if erasure in by_user else None)
        return None


def id_of(value: bytes | None) -> UUID | None:
    """The event that a record creates or changes; None for one that cannot be read."""
    try:
        decoder: msgspec.json.Decoder[_Create] | msgspec.json.Decoder[_Change]
        decoder = _change_decoder if is_change(value or b"") else _create_decoder
        return decoder.decode(value or b"").id
    except _UNREADABLE:
        return None


def _user_texts(value: bytes) -> list[str]:
    found = []
    for text in _USER_TEXT.findall(value):
        try:
            found.append(msgspec.json.decode(text, type=str))
        except _UNREADABLE:
            continue
    return found


def _ids_in(key: bytes, value: bytes) -> list[UUID]:
    found = []
    for text in (key, *_ID_TEXT.findall(value)):
        try:
            found.append(UUID(text.decode()))
        except ValueError:
            continue
    return found
