"""Changes to the ring of API keys: one added, one revoked. Where the ring is kept is the caller's affair."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from event_analytics.access import SCOPES, KeyRing, mint_key, record_of

_KEY_ID: Final = re.compile(r"[a-z0-9-]{1,32}")
KEY_SECRET_BYTES: Final = 32  # 256 bits: nobody guesses one


class KeyRingUnchanged(Exception):  # noqa: N818 - names the outcome
    """The change asked for cannot be made; the message says why."""


def add_key(
    ring: KeyRing, key_id: str, scopes: Sequence[str], secret_bytes: bytes, expires_at: datetime | None = None
) -> tuple[str, KeyRing]:
    """The new key, shown this once, and the ring that knows it.

    Raises:
        KeyRingUnchanged: the id is taken or malformed, or a scope is unknown.
    """
    if not _KEY_ID.fullmatch(key_id):
        raise KeyRingUnchanged("an id has 1 to 32 lower-case letters, digits and hyphens")
    if any(record.id == key_id for record in ring.keys):
        raise KeyRingUnchanged(f"there is a key {key_id} already: revoke it, or choose another id")
    if not scopes or set(scopes) - set(SCOPES):
        raise KeyRingUnchanged(f"scopes are one or more of {', '.join(SCOPES)}")
    key = mint_key(key_id, secret_bytes)
    record = record_of(key, ring.hmac_key, scopes, expires_at)
    return key, msgspec.structs.replace(ring, keys=(*ring.keys, record))


def revoke_key(ring: KeyRing, key_id: str) -> KeyRing:
    """The ring without the key. Functions forget it within a minute, the authorizer's policy within another.

    Raises:
        KeyRingUnchanged: there is no such key.
    """
    kept = tuple(record for record in ring.keys if record.id != key_id)
    if len(kept) == len(ring.keys):
        raise KeyRingUnchanged(f"there is no key {key_id}")
    return msgspec.structs.replace(ring, keys=kept)
