"""Wire events -> lines that can be sent again: each gets an id that a second run over the same file gives it, too.

An event that names its id keeps it. One without gets an id of its content and of how many equal ones came before it.
One without a timestamp, too, happens when the run began; when it is sent a second time, the first time counts. A line
with `op` is an operation as `POST /batch` takes them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple
from uuid import UUID

from tallystream.cli.files import Row
from tallystream.encoding import encode_line
from tallystream.errors import InvalidEvent
from tallystream.ids import ID_TIME_MS_END


class Numbered(NamedTuple):
    """One line to send. `key`: lines of the same key must arrive in their order."""

    number: int
    key: str
    line: bytes


class Refused(NamedTuple):
    """One line that cannot be sent."""

    number: int
    reason: str
    text: str


def prepare_lines(rows: Iterable[Row], started_ms: int) -> Iterator[Numbered | Refused]:
    """Each row in turn, as a line or with the reason why it is none."""
    seen: Counter[bytes] = Counter()
    for row in rows:
        if row.event is None:
            yield Refused(row.number, row.reason, row.text)
            continue
        try:
            yield _prepare(row.number, dict(row.event), started_ms, seen)
        except InvalidEvent as problem:
            yield Refused(row.number, problem.reason, json.dumps(row.event))


def _prepare(number: int, event: dict[str, Any], started_ms: int, seen: Counter[bytes]) -> Numbered:
    given = event.pop("id", None) or event.pop("event_id", None)
    operation = {"op": event.pop("op")} if "op" in event else {}
    if operation and operation["op"] != "create":
        if not given:
            raise InvalidEvent("an update or delete names the id of its event", reason="operation_invalid")
        return Numbered(number, str(given), encode_line({"id": _read_id(given), **operation, **event}))
    identifier = _read_id(given) if given else _derive_id(event, seen)
    if not given and event.get("timestamp", event.get("ts")) in (None, ""):
        event = {**event, "timestamp": started_ms}
        event.pop("ts", None)
    key = event.get("user_id") or event.get("conversation_id") or event.get("session_id") or ""
    return Numbered(number, str(key), encode_line({"id": identifier, **operation, **event}))


def _read_id(given: object) -> str:
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise InvalidEvent("an id is a UUID", reason="id_invalid") from None


def _derive_id(event: dict[str, Any], seen: Counter[bytes]) -> str:
    """A UUIDv7 of the event's time and content; of an event whose time is not told or not read, a UUIDv8 of content."""
    digest = hashlib.sha256(json.dumps(event, sort_keys=True, separators=(",", ":")).encode())
    content = digest.digest()[:16]
    seen[content] += 1
    digest.update(seen[content].to_bytes(8, "big"))
    timestamp_ms = read_timestamp_ms(event.get("timestamp", event.get("ts")))
    if timestamp_ms is None or timestamp_ms >= ID_TIME_MS_END:
        head, version = int.from_bytes(digest.digest()[10:16], "big"), 0x8
    else:
        head, version = timestamp_ms, 0x7
    bits = int.from_bytes(digest.digest()[:10], "big")
    number = head << 80 | version << 76 | (bits >> 62 & 0xFFF) << 64 | 0x2 << 62 | bits & (1 << 62) - 1
    return str(UUID(int=number))


def read_timestamp_ms(value: object) -> int | None:
    """Unix milliseconds of an RFC 3339 text or of a number of milliseconds; None for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.year < 1970:  # noqa: PLR2004 - where Unix time begins
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(int(aware.timestamp() * 1_000), 0)
