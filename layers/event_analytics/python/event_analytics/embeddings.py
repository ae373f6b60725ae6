"""Embeddings as they travel: base64 of little-endian float32.

JSON floats would cut a 6 MB batch from 3,700 events to 115.
"""

import base64
import math
import struct
from typing import Final

from event_analytics.errors import Reason, Refused

EMBEDDING_FLOATS_MAX: Final = 4_096  # the largest common model output today is 3,072
_FLOAT32_BYTES: Final = 4


def pack_embedding(embedding: str | list[float] | None, field: str) -> str | None:
    """The embedding as base64; None for none and for an empty one.

    Raises:
        Refused: embedding_invalid, embedding_too_long or number_not_finite.
    """
    if not embedding:
        return None
    packed = _unpack_base64(embedding, field) if isinstance(embedding, str) else _pack_floats(embedding, field)
    if len(packed) > EMBEDDING_FLOATS_MAX * _FLOAT32_BYTES:
        raise Refused(Reason.EMBEDDING_TOO_LONG, f"at most {EMBEDDING_FLOATS_MAX} floats are taken", field)
    floats = struct.unpack(f"<{len(packed) // _FLOAT32_BYTES}f", packed)
    if not all(map(math.isfinite, floats)):
        raise Refused(Reason.NUMBER_NOT_FINITE, "an embedding holds finite float32 numbers only", field)
    return base64.b64encode(packed).decode()


def unpack_embedding(packed: str) -> tuple[float, ...]:
    """The numbers of an embedding that `pack_embedding` packed."""
    raw = base64.b64decode(packed)
    return struct.unpack(f"<{len(raw) // _FLOAT32_BYTES}f", raw)


def _unpack_base64(text: str, field: str) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused(Reason.EMBEDDING_INVALID, "an embedding as text is base64 of float32", field) from None
    if len(packed) % _FLOAT32_BYTES:
        raise Refused(Reason.EMBEDDING_INVALID, "the bytes of an embedding are no multiple of 4", field)
    return packed


def _pack_floats(floats: list[float], field: str) -> bytes:
    try:
        return struct.pack(f"<{len(floats)}f", *floats)
    except OverflowError:
        raise Refused(Reason.NUMBER_NOT_FINITE, "a number of an embedding does not fit float32", field) from None
