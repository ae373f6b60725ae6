"""Arguments of a call -> one line of JSON, as it is queued, spooled and sent.

Encoding at the call makes the line a copy: what the caller does to its objects afterwards changes nothing. What the
API judges (lengths, ranges) is left to it; only what could not be sent at all is refused here, under the API's reasons.
"""

from __future__ import annotations

import binascii
import json
import sys
from array import array
from collections.abc import Iterable
from datetime import date, datetime, timezone
from enum import Enum
from typing import Any, Final

from tallystream.errors import InvalidEvent

EVENT_BYTES_MAX: Final = 900_000  # the API's: Kafka takes 1 MiB with the headers of a batch
CHANGE_MARK: Final = b'"op":'
_MARK_AT: Final = len('{"id":"') + 36 + len('",')  # every line begins with its id
_ID: Final = slice(len('{"id":"'), len('{"id":"') + 36)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def encode_line(fields: dict[str, Any]) -> bytes:
    """The fields as one line of UTF-8 JSON. `id`, a canonical UUID, must be the first of them.

    Raises:
        InvalidEvent: json_invalid, number_not_finite or event_too_large.
    """
    try:
        text = _encode(fields)
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidEvent(f"cannot be written as JSON: {problem}", reason=_reason_of(problem)) from problem
    line = text.encode("utf-8", "replace")  # a lone surrogate becomes "?", as JSON has none
    if len(line) > EVENT_BYTES_MAX:
        message = f"an event has at most {EVENT_BYTES_MAX} bytes, this one {len(line)}"
        raise InvalidEvent(message, reason="event_too_large")
    return line


def _reason_of(problem: Exception) -> str:
    return "number_not_finite" if "float values are not JSON" in str(problem) else "json_invalid"


def id_of_line(line: bytes) -> str:
    """The id of the event that a line creates or changes."""
    return line[_ID].decode()


def is_change(line: bytes) -> bool:
    """Whether the line updates or deletes an event, else it creates one."""
    return line.startswith(CHANGE_MARK, _MARK_AT)


def build_request(lines: list[bytes]) -> tuple[str, bytes]:
    """Path and NDJSON body that send these lines, in their order."""
    if not any(map(is_change, lines)):
        return "/events", b"\n".join(lines)
    operations = (line if is_change(line) else b'{"op":"create",' + line[1:] for line in lines)
    return "/batch", b"\n".join(operations)


def read_timestamp_ms(moment: datetime | float | str) -> int | str:
    """Unix milliseconds of a datetime (one without a zone is local time) or of a number of milliseconds.

    A text is passed on as it is, for the API to read.
    """
    if isinstance(moment, datetime):
        return (moment.astimezone(timezone.utc) - _EPOCH) // _MILLISECOND
    return moment if isinstance(moment, str) else int(moment)


_MILLISECOND: Final = datetime.resolution * 1_000


def pack_embedding(embedding: Iterable[float] | str) -> str:
    """Base64 of little-endian float32: a fifth of the same floats as JSON. A text is taken to be that already."""
    if isinstance(embedding, str):
        return embedding
    floats = array("f", embedding)
    if sys.byteorder == "big":
        floats.byteswap()
    return binascii.b2a_base64(floats, newline=False).decode()


def describe_failure(error: str | BaseException) -> str:
    """The text of an error: an exception's type and message."""
    if isinstance(error, BaseException):
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return error


def _to_json(value: Any) -> object:
    """What stands in JSON for an object that JSON does not know. No event is lost for an odd property."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    for method in ("tolist", "item"):  # numpy's arrays and numbers
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    return str(value)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_to_json).encode
