"""Where a page ended, so that the next begins right after it: opaque to the caller, bound to the question it answers.

It holds the last event's place, never a number of rows to skip: what is inserted meanwhile moves nothing. The window of
the first page stays that of all, also where it ended "now".
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from event_analytics.errors import Reason, Refused
from event_analytics.windows import TIME_MAX, Window

_FINGERPRINT_BYTES: Final = 8  # it tells questions apart, it protects nothing: a cursor reads what its key may read
_PAGE_ONLY: Final = frozenset({"limit", "cursor", "include"})  # what may differ from page to page
_TIME_MS_MAX: Final = int(TIME_MAX.timestamp() * 1_000)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last event of a page. `start_ms` and `end_ms`: the window, None where the question has none."""

    fingerprint: bytes
    start_ms: int | None
    end_ms: int | None
    timestamp_ms: int
    id: UUID

    def window(self) -> Window | None:
        """The window of the first page."""
        if self.start_ms is None or self.end_ms is None:
            return None
        return Window(_instant(self.start_ms), _instant(self.end_ms))


def fingerprint_of(
    question: str, path: Mapping[str, str], query: Mapping[str, str], repeated: Mapping[str, Sequence[str]]
) -> bytes:
    """Equal for equal questions: all that decides which rows there are, and in which order."""
    asked = sorted((name, *repeated.get(name, (text,))) for name, text in query.items() if name not in _PAGE_ONLY)
    document = msgspec.json.encode([question, sorted(path.items()), asked])
    return hashlib.sha256(document).digest()[:_FINGERPRINT_BYTES]


def write_cursor(fingerprint: bytes, window: Window | None, timestamp_ms: int, identifier: UUID) -> str:
    """The text that `read_cursor` reads."""
    start_ms = None if window is None else _milliseconds(window.start)
    end_ms = None if window is None else _milliseconds(window.end)
    cursor = Cursor(fingerprint, start_ms, end_ms, timestamp_ms, identifier)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def read_cursor(text: str, fingerprint: bytes) -> Cursor:
    """The cursor inside `next_cursor` of the same question.

    Raises:
        Refused: cursor_invalid.
    """
    try:
        packed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise Refused(Reason.CURSOR_INVALID, "the cursor is not one of ours", "cursor") from None
    if cursor.fingerprint != fingerprint:
        raise Refused(Reason.CURSOR_INVALID, "the cursor belongs to another question: keep its parameters", "cursor")
    times = [time for time in (cursor.start_ms, cursor.end_ms, cursor.timestamp_ms) if time is not None]
    if not all(0 <= time <= _TIME_MS_MAX for time in times):
        raise Refused(Reason.CURSOR_INVALID, "the cursor is not one of ours", "cursor")
    return cursor


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000)


def _instant(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1_000, tz=UTC)
