"""Who may do what: API key -> caller with scopes. One pure decision for the authorizer and for every handler.

A key is 256 random bits. The secret keeps HMAC-SHA256 of each key, its id, scopes and expiry, never the key. The id is
part of the key, so one comparison in constant time decides.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from event_analytics.errors import Reason, Refused

SCOPES: Final = ("write", "read", "admin")
KEY_PREFIX: Final = "tally"
_KEY_PARTS: Final = 3
_BEARER: Final = "bearer "
_NO_HASH: Final = "-" * hashlib.sha256().digest_size * 2
_USAGE: Final = "usage plan"


class KeyRecord(msgspec.Struct, frozen=True):
    """What the secret keeps of one key. `hash`: hex, in no text of the record.

    `expires_at`: None is never. Written by hand without a time zone it names no moment, and the key opens nothing: as
    UTC it could live hours longer than was meant.
    """

    id: str
    hash: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"KeyRecord({self.id!r})"

    @property
    def has_clear_end(self) -> bool:
        """Whether it is clear when the key ends."""
        return self.expires_at is None or self.expires_at.tzinfo is not None

    def is_over(self, now: datetime) -> bool:
        """Whether the key opens nothing any more."""
        return not self.has_clear_end or (self.expires_at is not None and self.expires_at <= now)


class KeyRing(msgspec.Struct, frozen=True):
    """The secret: the HMAC key and all key records. Its text in a log or a traceback shows the ids only."""

    hmac_key: str
    keys: tuple[KeyRecord, ...] = ()

    def __repr__(self) -> str:
        return f"KeyRing(ids={[record.id for record in self.keys]})"


class Caller(NamedTuple):
    """Who calls: the id of the key, and what it may do."""

    key_id: str
    scopes: frozenset[str]


_ring_decoder = msgspec.json.Decoder(KeyRing)


def read_key_ring(secret: str) -> KeyRing:
    """The ring inside the secret's JSON text.

    Raises:
        msgspec.MsgspecError: the secret is none of ours.
    """
    return _ring_decoder.decode(secret)


def mint_key(key_id: str, secret_bytes: bytes) -> str:
    """The text of a new key: `tally_<id>_<hex of the 32 secret bytes>`."""
    return f"{KEY_PREFIX}_{key_id}_{secret_bytes.hex()}"


def record_of(key: str, ring_hmac_key: str, scopes: Iterable[str], expires_at: datetime | None = None) -> KeyRecord:
    """What the secret keeps of a key."""
    return KeyRecord(_id_of(key) or "", _hash(key, ring_hmac_key), tuple(scopes), expires_at)


def identify(authorization: str | None, ring: KeyRing, now: datetime) -> Caller:
    """The caller behind an Authorization header.

    Raises:
        Refused: key_missing, or key_invalid for a key that is unknown, wrong or expired: the answer tells which of
            these to nobody.
    """
    if not authorization or not authorization.lower().startswith(_BEARER):
        raise Refused(Reason.KEY_MISSING, "send the header Authorization: Bearer KEY")
    key = authorization[len(_BEARER) :].strip()
    key_id = _id_of(key)
    record = next((record for record in ring.keys if record.id == key_id), None)
    expected = record.hash if record else _NO_HASH  # as long as any: an unknown id takes as long as a wrong key
    is_same = hmac.compare_digest(_hash(key, ring.hmac_key), expected)
    if record is None or not is_same or record.is_over(now.astimezone(UTC)):
        raise Refused(Reason.KEY_INVALID, "the key is not valid")
    return Caller(record.id, frozenset(record.scopes))


def usage_identifier(ring: KeyRing, key_id: str) -> str:
    """Under which name a usage plan of API Gateway counts a key: tells nothing of the key, and nobody can guess it."""
    return _hash(f"{_USAGE} {key_id}", ring.hmac_key)


def caller_of_authorizer(context: Mapping[str, Any] | None) -> Caller | None:
    """The caller whom our Lambda authorizer already identified; None where no authorizer of ours ran."""
    if not context or not context.get("key_id"):
        return None
    return Caller(str(context["key_id"]), frozenset(str(context.get("scopes", "")).split()))


def require_scope(caller: Caller, scope: str) -> None:
    """Return if the caller may; `admin` may everything.

    Raises:
        Refused: scope_missing.
    """
    if scope not in caller.scopes and "admin" not in caller.scopes:
        raise Refused(Reason.SCOPE_MISSING, f"the key lacks the scope {scope}")


def _id_of(key: str) -> str | None:
    parts = key.split("_")
    return parts[1] if len(parts) == _KEY_PARTS and parts[0] == KEY_PREFIX else None


def _hash(key: str, ring_hmac_key: str) -> str:
    return hmac.new(ring_hmac_key.encode(), key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
