"""Where a record goes: topic, key and partition. Decides; `KafkaEventLog` obeys.

The partition is a function of the ordering key, computed as Kafka's Java client does it (murmur2), so that other
producers on the same topics keep a user's events in the same order as ours do. Changes, which nobody else makes, take
CRC-32, as librdkafka's `consistent` partitioner does: each has a key of its own, and murmur2 in Python costs 5 us.
"""

import zlib
from functools import lru_cache
from typing import Final

import msgspec

from event_analytics.change import Change, encode_change
from event_analytics.event import Event, encode_event
from event_analytics.identifiers import text_of

EVENTS_TOPIC: Final = "events"
EVENT_CHANGES_TOPIC: Final = "event-changes"
EVENTS_REPLAY_TOPIC: Final = "events-replay"
DEAD_LETTERS_TOPIC: Final = "dead-letters"

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK_32: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_HOT_KEYS: Final = 65_536  # keys whose hash is kept: hashing in Python costs 5 us, users come back within seconds


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record to append. `timestamp_ms` is the time of acceptance: archive hours and replays mean it.

    `traceparent`: the header of that name, where the request brought one (`tracing`). `accepted_ms`: likewise, set by
    `record_times` alone, which puts the time of sending in the place of an acceptance long ago.
    """

    topic: str
    key: bytes
    value: bytes
    timestamp_ms: int
    traceparent: str | None = None
    accepted_ms: int | None = None


def route_event(event: Event, accepted_us: int) -> Record:
    """The record of an accepted event, keyed by its user, else by its conversation."""
    ordering_key = event.user_id or event.conversation_id or ""
    return Record(EVENTS_TOPIC, ordering_key.encode(), encode_event(event, accepted_us), accepted_us // 1_000)


def route_change(change: Change, accepted_us: int) -> Record:
    """The record of an accepted change, keyed by the event's id."""
    return Record(EVENT_CHANGES_TOPIC, text_of(change.id).encode(), encode_change(change), accepted_us // 1_000)


def partition_of(topic: str, key: bytes, partitions: int) -> int:
    """Partition 0..partitions-1 of a key on a topic."""
    return zlib.crc32(key) % partitions if topic == EVENT_CHANGES_TOPIC else _java_partition_of(key, partitions)


@lru_cache(maxsize=_HOT_KEYS)
def _java_partition_of(key: bytes, partitions: int) -> int:
    """As `org.apache.kafka.clients.producer` computes it."""
    return (murmur2(key) & _POSITIVE) % partitions


def murmur2(data: bytes) -> int:
    """Unsigned 32-bit murmur2 with the seed of `org.apache.kafka.common.utils.Utils`."""
    length = len(data)
    hashed = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _M & _MASK_32
        word = (word ^ word >> 24) * _M & _MASK_32
        hashed = hashed * _M & _MASK_32 ^ word
    if length > whole:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _M & _MASK_32
    hashed = (hashed ^ hashed >> 13) * _M & _MASK_32
    return hashed ^ hashed >> 15
