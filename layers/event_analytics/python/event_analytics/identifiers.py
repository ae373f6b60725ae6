"""UUIDs of events: minted (v7, v8) and read back. Decides nothing about whether an id is acceptable.

RFC 9562: version 7 carries Unix milliseconds in its first 48 bits, version 8 is free for derived ids.
"""

import hashlib
from typing import cast
from uuid import UUID

import msgspec

_VERSION_7 = 0x7 << 76
_VERSION_8 = 0x8 << 76
_VARIANT = 0x2 << 62
# The bits of version and variant, and what they are in version 7: `UUID.version` takes five times as long.
_KIND_MASK = 0xF << 76 | 0x3 << 62
_KIND_7 = _VERSION_7 | _VARIANT
RANDOM_BYTES_OF_ID = 10
_RANDOM_A_BITS = 12
_RANDOM_A_MASK = (1 << _RANDOM_A_BITS) - 1
_RANDOM_B_MASK = (1 << 62) - 1


def mint_uuid7(timestamp_ms: int, random_bytes: bytes) -> UUID:
    """A UUIDv7 whose time is `timestamp_ms`. `random_bytes`: at least 10, of which 74 bits are used."""
    random = int.from_bytes(random_bytes[:RANDOM_BYTES_OF_ID], "big")
    random_a = random & _RANDOM_A_MASK
    random_b = random >> _RANDOM_A_BITS & _RANDOM_B_MASK
    number = timestamp_ms << 80 | _KIND_7 | random_a << 64 | random_b
    return msgspec.convert(number.to_bytes(16, "big"), UUID)  # as UUID(int=number), in a third of the time


def text_of(identifier: UUID) -> str:
    """As `str(identifier)`, in a third of the time."""
    return cast("str", msgspec.to_builtins(identifier))


def timestamp_ms_of(identifier: UUID) -> int | None:
    """Unix milliseconds inside a UUIDv7; None for every other version."""
    number = identifier.int
    return number >> 80 if number & _KIND_MASK == _KIND_7 else None


def derive_uuid8(*parts: str) -> UUID:
    """The same UUIDv8 for the same parts, for ever: SHA-256 over the length-prefixed parts."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    bits = int.from_bytes(digest.digest()[:16], "big")
    bits &= ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=bits | _VERSION_8 | _VARIANT)
