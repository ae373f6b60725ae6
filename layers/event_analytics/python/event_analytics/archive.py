"""A Kafka batch -> the objects that keep it in S3, and back. Decides; `functions/archive` writes, a replay reads.

One object holds contiguous offsets of one partition within one hour of acceptance. One line holds one record:
`{"offset":15,"timestamp":1545084650987,"key":"u1","value":{...}}`, the value as it was sent; bytes that are no JSON
line stand as `value_base64`, a key that is no text as `key_base64`. `decode_line` gives back every record to the byte.
"""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from isal import isal_zlib

from event_analytics.archive_keys import HASH_BYTES, ArchiveKey, hour_of, key_of
from event_analytics.kafka_batch import KafkaRecord, digest_of, runs_of

_ISAL_LEVEL: Final = 2  # JSON lines: a tenth of the time of zlib's level 6 for 4 % more; 3 costs twice 2 for 2 % less
_GZIP_FORMAT: Final = 31  # zlib's window bits: the largest window (15) and gzip's frame (16), without name or time
_HOUR_MS: Final = 3_600_000
# The value is cut out, not parsed: its bytes come back as they were, spaces included, at any depth and for less time.
_LINE: Final = re.compile(
    rb'\{"offset":(\d+),"timestamp":(-?\d+),'
    rb'(?:"key":(?:null|("(?:[^"\\]|\\.)*"))|"key_base64":"([A-Za-z0-9+/=]*)"),'
    rb'(?:"value":(.*)|"value_base64":"([A-Za-z0-9+/=]*)")\}'
)
_HOT_KEYS: Final = 65_536  # keys whose form is kept: a user comes back within seconds
_NO_VALUE: Final = b"null"
_text_decoder: Final = msgspec.json.Decoder(str)
_syntax_checker: Final = msgspec.json.Decoder(msgspec.Raw)  # builds nothing, and looks at no text's encoding


class ArchiveUnreadable(ValueError):  # noqa: N818 - names the state of the object
    """An archived object or a line of it is not what `plan_archive` writes; reading it again gives the same."""


class ArchiveObject(NamedTuple):
    """One object to write: name, gzipped body, how many records it holds, and how many were left out."""

    name: str
    body: bytes
    records: int
    left_out: int


class ArchivedLine(NamedTuple):
    """One line of an object, without its line break, and the record that it holds."""

    line: bytes
    record: KafkaRecord


def keep_all(_record: KafkaRecord) -> bool:
    """Nobody was erased."""
    return True


def plan_archive(
    records: Iterable[KafkaRecord], epoch: str, is_kept: Callable[[KafkaRecord], bool] = keep_all
) -> Iterator[ArchiveObject]:
    """The objects of a batch, ordered by partition and offset, each made only when asked for.

    `is_kept`: False leaves a record's line out. The name is the same with it and without, so that a batch that comes
    again after an erasure finds its object, and offsets that were left out on purpose are no gap.
    """
    for run in runs_of(records):
        for piece in _pieces_of(run.records):
            yield _object_of(piece, epoch, is_kept)


def _pieces_of(records: Iterable[KafkaRecord]) -> Iterator[list[KafkaRecord]]:
    """Cut where an offset is missing or the hour changes between neighbours; drop what a batch holds twice."""
    piece: list[KafkaRecord] = []
    for record in records:
        if piece and record.offset == piece[-1].offset:
            continue
        if piece and (
            record.offset != piece[-1].offset + 1
            or record.timestamp_ms // _HOUR_MS != piece[-1].timestamp_ms // _HOUR_MS
        ):
            yield piece
            piece = []
        piece.append(record)
    if piece:
        yield piece


def _object_of(records: list[KafkaRecord], epoch: str, is_kept: Callable[[KafkaRecord], bool]) -> ArchiveObject:
    first, last = records[0], records[-1]
    key = ArchiveKey(
        topic=first.topic,
        hour=hour_of(first.timestamp_ms),
        partition=first.partition,
        epoch=epoch,
        first_offset=first.offset,
        last_offset=last.offset,
        digest=digest_of(records, HASH_BYTES),
    )
    kept = [encode_line(record) for record in records if is_kept(record)]
    return ArchiveObject(key_of(key), pack_lines(kept), len(kept), len(records) - len(kept))


def pack_lines(lines: Iterable[bytes]) -> bytes:
    """The body of an object that holds these lines; one may hold none."""
    return isal_zlib.compress(b"".join(line + b"\n" for line in lines), _ISAL_LEVEL, _GZIP_FORMAT)


def encode_line(record: KafkaRecord) -> bytes:
    """One line of an archived object, without its line break."""
    return b'{"offset":%d,"timestamp":%d,%b,%b}' % (
        record.offset,
        record.timestamp_ms,
        _encode_key(record.key),
        _encode_value(record.value),
    )


@lru_cache(maxsize=_HOT_KEYS)
def _encode_key(key: bytes | None) -> bytes:
    if key is None:
        return b'"key":null'
    try:
        return b'"key":' + json.dumps(key.decode()).encode()
    except UnicodeDecodeError:
        return b'"key_base64":"%b"' % base64.b64encode(key)


def _encode_value(value: bytes | None) -> bytes:
    if value is None:
        return b'"value":%b' % _NO_VALUE
    try:
        _syntax_checker.decode(value)
        if not value.isascii():
            value.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return b'"value_base64":"%b"' % base64.b64encode(value)
    if b"\n" in value or b"\r" in value or value == _NO_VALUE:
        return b'"value_base64":"%b"' % base64.b64encode(value)
    return b'"value":' + value


def read_object(key: ArchiveKey, body: bytes) -> Iterator[KafkaRecord]:
    """The records of an object in the order of their offsets; one that erasure has rewritten leaves some out.

    Raises:
        ArchiveUnreadable: the body or a line is damaged, or a line lies outside the offsets of the name.
    """
    return (each.record for each in read_lines(key, body))


def read_lines(key: ArchiveKey, body: bytes) -> Iterator[ArchivedLine]:
    """The same with the line of each record.

    Raises:
        ArchiveUnreadable: as `read_object`.
    """
    try:
        lines = gzip.decompress(body).split(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveUnreadable(f"{key_of(key)}: {error}") from error
    if lines.pop() != b"":
        raise ArchiveUnreadable(f"{key_of(key)}: the last line is cut off")
    following = key.first_offset
    for line in lines:
        record = decode_line(line, key.topic, key.partition)
        if not following <= record.offset <= key.last_offset:
            raise ArchiveUnreadable(f"{key_of(key)}: offset {record.offset} does not belong here")
        following = record.offset + 1
        yield ArchivedLine(line, record)


def decode_line(line: bytes, topic: str, partition: int) -> KafkaRecord:
    """The record of which `encode_line` made this line.

    Raises:
        ArchiveUnreadable: it made no such line.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise ArchiveUnreadable(f"no line of the archive: {line[:80]!r}")
    offset, timestamp_ms, key_json, key_base64, value_json, value_base64 = match.groups()
    try:
        key = _text_decoder.decode(key_json).encode() if key_json is not None else _decode_base64(key_base64)
        value = value_json if value_json is not None else _decode_base64(value_base64)
    except (ValueError, msgspec.MsgspecError) as error:
        raise ArchiveUnreadable(f"no line of the archive: {line[:80]!r}") from error
    return KafkaRecord(
        topic, partition, int(offset), int(timestamp_ms), key, None if value_json == _NO_VALUE else value
    )


def _decode_base64(text: bytes | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
