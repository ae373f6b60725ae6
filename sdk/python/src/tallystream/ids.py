"""Ids of events: UUIDs of version 7, made at the call, so that every repetition of a send is the same event."""

from __future__ import annotations

import itertools
import os
import random
from typing import Final
from uuid import UUID

ID_TIME_MS_END: Final = 1 << 48  # an id has 48 bits for its time

# Its own generator: a program that seeds `random` must not make two processes mint the same ids.
_random = random.Random()  # noqa: S311 - ids are no secrets; seeded from the system's entropy
_counter = itertools.count(_random.getrandbits(26))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def mint_id(timestamp_ms: int) -> str:
    """A UUIDv7 whose time is `timestamp_ms`, from 0 to below ID_TIME_MS_END.

    An id whose time is its event's saves the API a search for another event of this id. 26 bits count, so that events
    of one millisecond sort in the order of their calls; 48 are random.
    """
    count = next(_counter)
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031 - half the time of an f-string, and it is in every call
        timestamp_ms >> 16,
        timestamp_ms & 0xFFFF,
        count >> 14 & 0xFFF,
        0x8000 | count & 0x3FFF,
        _random.getrandbits(48),
    )


def read_id(identifier: str | UUID) -> str:
    """The id in its canonical form.

    Raises:
        ValueError: it is no UUID.
    """
    return str(identifier if isinstance(identifier, UUID) else UUID(identifier))
