"""Records that Kafka did not take -> the object that keeps them in S3 until it does, and back. Pure.

`spool/v1/<accepted_us>-<request id>.jsonl.gz`: names sort by acceptance, so a drain in name order keeps the order of
every key. One line holds one record, `{"topic":"events","key":"u1","timestamp_ms":1790000000000,"value":"{...}"}`:
key and value as text, so that they come back byte for byte; what is no text stands as `key_base64`, `value_base64`.
When to spool is `spooling`'s decision, when to publish `spool_drain`'s.
"""

import base64
import gzip
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from event_analytics.errors import TallystreamError
from event_analytics.routing import Record

SPOOL_PREFIX: Final = "spool/v1/"
_SUFFIX: Final = ".jsonl.gz"
_ID_LENGTH_MAX: Final = 64  # a UUID fits with room; S3 names end at 1,024 bytes
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NAME: Final = re.compile(rf"{re.escape(SPOOL_PREFIX)}([0-9]{{16}})-[A-Za-z0-9_-]+{re.escape(_SUFFIX)}")
_GZIP_LEVEL: Final = 1  # a caller waits and the object lives for minutes: level 6 takes three times as long


class SpoolUnreadable(TallystreamError):  # noqa: N818 - names the state of an object
    """An object under the spool's prefix that no version of this module wrote."""


class _Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    topic: str
    key: str | None = None
    key_base64: str | None = None
    timestamp_ms: int
    value: str | None = None
    value_base64: str | None = None
    traceparent: str | None = None


def spool_name(accepted_us: int, request_id: str) -> str:
    """Name of a request's object. `request_id` must be the request's own; what S3 names do not take becomes "-"."""
    return f"{SPOOL_PREFIX}{accepted_us:016d}-{_NOT_IN_NAMES.sub('-', request_id)[:_ID_LENGTH_MAX] or '-'}{_SUFFIX}"


def accepted_us_of(name: str) -> int | None:
    """The acceptance time in an object's name; None if it is not a spool object's name."""
    matched = _NAME.fullmatch(name)
    return int(matched[1]) if matched else None


def from_first_failure(records: Sequence[Record], acknowledged: Sequence[bool]) -> list[int]:
    """Which records must be sent again: of every key, all from its first failure on.

    A key never spans partitions, so this keeps the order of each key; an acknowledged record behind a failure is sent
    twice and removed by its id. Keys that failed nowhere, and what lies before a failure, are left out.
    """
    failed: set[tuple[str, bytes]] = set()
    indexes: list[int] = []
    for index, record in enumerate(records):
        place = (record.topic, record.key)
        if not acknowledged[index]:
            failed.add(place)
        if place in failed:
            indexes.append(index)
    return indexes


def encode_spool(records: Iterable[Record]) -> bytes:
    """Body of the object that keeps these records."""
    lines = (msgspec.json.encode(_line_of(record)) for record in records)
    return gzip.compress(b"".join(line + b"\n" for line in lines), _GZIP_LEVEL, mtime=0)


def _line_of(record: Record) -> _Line:
    key, key_base64 = _text_or_base64(record.key)
    value, value_base64 = _text_or_base64(record.value)
    return _Line(
        topic=record.topic,
        key=key,
        key_base64=key_base64,
        timestamp_ms=record.timestamp_ms,
        value=value,
        value_base64=value_base64,
        traceparent=record.traceparent,
    )


def _text_or_base64(data: bytes) -> tuple[str | None, str | None]:
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(data).decode()


def decode_spool(body: bytes) -> list[Record]:
    """The records of an object, in the order in which they were sent.

    Raises:
        SpoolUnreadable: the body is not one that `encode_spool` makes.
    """
    try:
        lines = gzip.decompress(body).splitlines()  # bytes break at line ends only, which JSON escapes
        records = [_record_of(line) for line in lines]
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise SpoolUnreadable(f"{type(error).__name__}: {error}") from error
    if not records:
        raise SpoolUnreadable("no records")
    return records


def _record_of(encoded: bytes) -> Record:
    line = msgspec.json.decode(encoded, type=_Line)
    return Record(
        line.topic,
        _bytes_of(line.key, line.key_base64),
        _bytes_of(line.value, line.value_base64),
        line.timestamp_ms,
        line.traceparent,
    )


def _bytes_of(text: str | None, in_base64: str | None) -> bytes:
    if text is not None:
        return text.encode()
    if in_base64 is None:
        raise SpoolUnreadable("a line without key or value")
    return base64.b64decode(in_base64, validate=True)
