"""A wire event made ready to be sent: encoded once, with an id, so that sending it again changes nothing.

An event that names its id keeps it. One with a timestamp and no id gets a UUIDv8 of its content and of how many
equal ones came before it; one with neither happens now, and its new UUIDv7 says so. The API judges the rest.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from event_analytics.event import ALIASES
from event_analytics.identifiers import derive_uuid8, mint_uuid7, timestamp_ms_of

WireEvent = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way. `line` is its JSON without a line end; the other fields serve to count it."""

    id: str
    line: bytes
    event_name: str = ""
    user_id: str = ""
    conversation_id: str = ""
    timestamp_ms: int | None = None
    latency_ms: float | None = None

    @property
    def ordering_key(self) -> str:
        """Events with the same key must arrive in the order given."""
        return self.user_id or self.conversation_id


def prepare_events(events: Iterable[WireEvent]) -> Iterator[Outgoing]:
    """Each event in turn, encoded and with an id."""
    seen: Counter[bytes] = Counter()
    for event in events:
        line = encode_line(event)
        identifier = _text(event, "id")
        if not identifier:
            identifier = _derive_id(event, line, seen)
            line = encode_line({"id": identifier, **event})
        yield _describe(event, identifier, line)


def _derive_id(event: WireEvent, line: bytes, seen: Counter[bytes]) -> str:
    if _value(event, "timestamp") in (None, ""):
        return str(mint_uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))
    seen[line] += 1
    return str(derive_uuid8("event without id", line.decode("utf-8"), str(seen[line])))


def _describe(event: WireEvent, identifier: str, line: bytes) -> Outgoing:
    latency = _value(event, "latency_ms")
    try:
        parsed = UUID(identifier)
    except ValueError:
        parsed = None
    timestamp_ms = read_time_ms(_value(event, "timestamp"))
    if timestamp_ms is None and parsed is not None:
        timestamp_ms = timestamp_ms_of(parsed)
    return Outgoing(
        id=str(parsed) if parsed else identifier,
        line=line,
        event_name=_text(event, "event_name"),
        user_id=_text(event, "user_id"),
        conversation_id=_text(event, "conversation_id"),
        timestamp_ms=timestamp_ms,
        latency_ms=float(latency) if isinstance(latency, (int, float)) else None,
    )


def encode_line(event: WireEvent) -> bytes:
    """The event as one line of UTF-8 JSON. What UTF-8 cannot carry stays escaped: the API refuses it by name."""
    try:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(event, separators=(",", ":")).encode("ascii")


def read_time_ms(value: object) -> int | None:
    """Unix milliseconds of an RFC 3339 text (no zone: UTC) or of a number of milliseconds; None for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000)


_NAMES = {canonical: alias for alias, canonical in ALIASES.items()}


def _value(event: WireEvent, name: str) -> object:
    value = event.get(name)
    return event.get(_NAMES[name]) if value is None and name in _NAMES else value


def _text(event: WireEvent, name: str) -> str:
    value = _value(event, name)
    return value if isinstance(value, str) else ""
