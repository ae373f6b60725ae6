"""Kafka's record batches (message format 2), read straight into the bytes that Lambda's event wants.

One pass over a batch and no object per record: what a general client makes of each record (a named tuple, sizes,
a future's bookkeeping) costs three times what is done here. Pure: bytes in, bytes out.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from local_runtime.kafka_trigger.event_shape import PartitionShape, encode_headers

# base offset, length, leader epoch, magic, crc, attributes, last offset delta, first and max timestamp,
# producer id and epoch, base sequence, number of records
HEADER = Struct(">qiibIhiqqqhii")
LENGTH_END = 12  # the length counts what follows it
CRC_START = 21  # the checksum covers what follows itself
MAGIC = 2
CODEC_MASK, LOG_APPEND_MASK, CONTROL_MASK = 0x07, 0x08, 0x20
TIMESTAMP_TYPES = (b"CREATE_TIME", b"LOG_APPEND_TIME")
# Variable-length integers: seven bits a byte, a set high bit says that more follow; zigzag, so 1 is -1.
MORE, LOW_BITS, BITS = 0x80, 0x7F, 7

# How many records are encoded before it is asked again whether there is room for more.
RECORDS_AT_ONCE = 10_000
BYTES_AT_ONCE = 4 * 1024 * 1024

Keeps = Callable[[bytes | None], bool]


class BadBatch(ValueError):  # noqa: N818 - a name, not a grade
    """The bytes are no intact batch of message format 2 (Kafka 0.11 and later)."""


class RawBatch(NamedTuple):
    """One record batch as the log holds it. `first_offset`: where reading it starts, later than its base if asked so.

    A batch that compaction thinned out, or that holds a transaction's marker, has fewer records than offsets.
    """

    first_offset: int
    last_offset: int
    payload: bytes
    base_offset: int
    codec: int = 0
    records_count: int = 0
    first_timestamp: int = 0
    # The broker's own time for every record, where the topic says so.
    append_timestamp: int | None = None


@dataclass
class Encoded:
    """Records of one partition as columns: same index, same record. Offsets ascend."""

    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    filtered: int = 0

    def is_large(self) -> bool:
        """Return whether it is time to stop; only so many records are looked at as it costs nothing."""
        return len(self.records) >= RECORDS_AT_ONCE or (
            bool(self.records) and len(self.records) * len(self.records[-1]) >= BYTES_AT_ONCE
        )

    def skip_older(self, since_ms: int) -> None:
        """Leave out the records before the first one that is not older."""
        newer = (index for index, timestamp in enumerate(self.timestamps) if timestamp >= since_ms)
        behind = next(newer, len(self.records))
        for column in (self.offsets, self.timestamps, self.records):
            del column[:behind]


def split_batches(log: bytes | memoryview, fetch_offset: int, checksum: Callable[[bytes], int]) -> list[RawBatch]:
    """Return the whole batches at the front of fetched bytes; a batch that was cut off is left for the next fetch.

    Raises:
        BadBatch: another format, or a wrong checksum.
    """
    log, position, batches = bytes(log), 0, []
    while len(log) - position >= HEADER.size:
        head = HEADER.unpack_from(log, position)
        end = position + LENGTH_END + head[1]
        if end > len(log):
            break
        if head[3] != MAGIC:
            raise BadBatch(f"message format {head[3]} at offset {head[0]}: only {MAGIC} is read")
        if checksum(log[position + CRC_START : end]) != head[4]:
            raise BadBatch(f"wrong checksum at offset {head[0]}")
        batches.append(_read_batch(head, log[position + HEADER.size : end], fetch_offset))
        position = end
    return batches


def _read_batch(head: tuple[int, ...], payload: bytes, fetch_offset: int) -> RawBatch:
    base, attributes, last_delta, first_timestamp, max_timestamp, count = head[0], *head[5:9], head[12]
    return RawBatch(
        first_offset=max(base, fetch_offset),
        last_offset=base + last_delta,
        payload=payload,
        base_offset=base,
        codec=attributes & CODEC_MASK,
        records_count=0 if attributes & CONTROL_MASK else count,
        first_timestamp=first_timestamp,
        append_timestamp=max_timestamp if attributes & LOG_APPEND_MASK else None,
    )


def encode_batch(
    batch: RawBatch, payload: bytes, shape: PartitionShape, into: Encoded, keeps: Keeps | None = None
) -> None:
    """Append the batch's records, as they stand in the event, to the columns; `payload` is no longer compressed.

    Key and value are base64, null where Kafka has none. Records before the batch's `first_offset` are left out, and
    those whose value `keeps` does not want are counted.
    """
    has_all_offsets = batch.records_count == batch.last_offset - batch.base_offset + 1
    is_plain = has_all_offsets and keeps is None and batch.first_offset == batch.base_offset
    position = index = 0
    while index < batch.records_count:
        if is_plain:
            position, index = _encode_usual(batch, payload, shape, into, position=position, index=index)
        if index < batch.records_count:
            position = _encode_any(batch, payload, shape, into, position=position, keeps=keeps)
            index += 1


def _encode_usual(  # noqa: C901 - one loop without a call, since it runs for nearly every record
    batch: RawBatch, payload: bytes, shape: PartitionShape, into: Encoded, *, position: int, index: int
) -> tuple[int, int]:
    """Encode as long as records have a key of up to 63 bytes, a value of up to 8 kB and no headers.

    Returns:
        Position and index of the first record that is otherwise.
    """
    add_offset, add_timestamp, add_record = into.offsets.append, into.timestamps.append, into.records.append
    last_delta, timestamp, middle = -1, 0, b""
    record = position
    for offset in range(batch.base_offset + index, batch.last_offset + 1):
        record = position
        while payload[position] >= MORE:  # the record's length, which its parts tell as well
            position += 1
        delta = payload[position + 2]  # past the length's last byte and the attributes
        position += 3
        if delta >= MORE:
            high = payload[position]
            position += 1
            if high >= MORE:
                return record, offset - batch.base_offset
            delta += (high << BITS) - MORE
        if delta != last_delta:
            last_delta = delta
            timestamp, middle = _describe_time(batch, delta)
        while payload[position] >= MORE:  # the offset, which is known
            position += 1
        size = payload[position + 1]
        if size & (MORE | 1):
            return record, offset - batch.base_offset
        start = position + 2
        position = start + (size >> 1)
        key = payload[start:position]
        size = payload[position]
        start = position + 1
        if size >= MORE:
            high = payload[start]
            start += 1
            if high >= MORE:
                return record, offset - batch.base_offset
            size += (high << BITS) - MORE
        position = start + (size >> 1)
        if size & 1 or payload[position]:
            return record, offset - batch.base_offset
        value = b2a_base64(payload[start:position], newline=False)
        add_record(
            b'%b%d%b"%b","value":"%b","headers":[]}'
            % (shape.record_opening, offset, middle, b2a_base64(key, newline=False), value)
        )
        add_offset(offset)
        add_timestamp(timestamp)
        position += 1
    return position, batch.records_count


def _encode_any(
    batch: RawBatch, payload: bytes, shape: PartitionShape, into: Encoded, *, position: int, keeps: Keeps | None
) -> int:
    """Encode one record, whatever it is like; return the position behind it."""
    _, position = _read_varint(payload, position)
    delta, position = _read_varint(payload, position + 1)
    skip, position = _read_varint(payload, position)
    key, position = _read_bytes(payload, position)
    value, position = _read_bytes(payload, position)
    headers, position = _read_headers(payload, position)
    offset = batch.base_offset + _unfold(skip)
    if offset < batch.first_offset:
        return position
    if keeps is not None and not keeps(value):
        into.filtered += 1
        return position
    timestamp, middle = _describe_time(batch, delta)
    into.offsets.append(offset)
    into.timestamps.append(timestamp)
    into.records.append(
        b'%b%d%b%b,"value":%b,"headers":%b}'
        % (shape.record_opening, offset, middle, _quote(key), _quote(value), headers)
    )
    return position


def _quote(content: bytes | None) -> bytes:
    return b"null" if content is None else b'"%b"' % b2a_base64(content, newline=False)


def _describe_time(batch: RawBatch, delta: int) -> tuple[int, bytes]:
    appended = batch.append_timestamp
    timestamp = batch.first_timestamp + _unfold(delta) if appended is None else appended
    kind = TIMESTAMP_TYPES[appended is not None]
    return timestamp, b',"timestamp":%d,"timestampType":"%b","key":' % (timestamp, kind)


def _read_headers(payload: bytes, position: int) -> tuple[bytes, int]:
    count, position = _read_varint(payload, position)
    headers = []
    for _ in range(_unfold(count)):
        name, position = _read_bytes(payload, position)
        value, position = _read_bytes(payload, position)
        headers.append(((name or b"").decode("utf-8", "replace"), value))
    return encode_headers(headers) if headers else b"[]", position


def _read_bytes(payload: bytes, position: int) -> tuple[bytes | None, int]:
    size, position = _read_varint(payload, position)
    if size & 1:  # -1: there is none
        return None, position
    end = position + (size >> 1)
    return payload[position:end], end


def _read_varint(payload: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = payload[position]
        position += 1
        number |= (byte & LOW_BITS) << shift
        if byte < MORE:
            return number, position
        shift += BITS


def _unfold(number: int) -> int:
    return (number >> 1) ^ -(number & 1)
