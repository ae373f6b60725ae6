"""What one event is: its fields, their limits, and its one encoded form.

The encoded form is one line of JSON. It is the Kafka record value, the line in the archive and the row that ClickHouse
reads, so that an event is encoded once. `schema/event.v1.json` is the same contract for people and other languages.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

TEXT_KEY_LENGTH_MAX: Final = 128  # characters of user_id, conversation_id, event_name: they are keys, not prose
EVENT_BYTES_MAX: Final = 900_000  # Kafka's default record limit is 1 MiB, and batches carry headers
JSON_DEPTH_MAX: Final = 20  # nested deeper, a payload is a program's mistake; ClickHouse stops far later
JSON_KEYS_MAX: Final = 1_000  # keys in all levels of one object; ClickHouse's JSON type keeps 1,024 paths
TIMESTAMP_MS_MIN: Final = 946_684_800_000  # 2000-01-01T00:00:00Z: before it, a clock was never set
TIMESTAMP_AHEAD_MS_MAX: Final = 86_400_000  # one day: clocks in wrong time zones pass, absurd partitions do not
# Other producers may send any time. Hours are kept as ClickHouse's DateTime, 32 bits from 1970 on, and end with the
# last whole one; the row of an event outside would wrap around to another hour.
HELD_TIME_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
HELD_TIME_END: Final = datetime(2106, 2, 7, 6, tzinfo=UTC)
ACCEPTED_US_END: Final = 2**51  # in 2041: from there on a fold's version, 4096 times as much, is that of a hidden row

NO_JSON: Final = msgspec.Raw(b"")

TextKey = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_KEY_LENGTH_MAX)]
LatencyMs = Annotated[float, msgspec.Meta(ge=0)]
AcceptedUs = Annotated[int, msgspec.Meta(ge=0, lt=ACCEPTED_US_END)]


class Event(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One event as a client sends it, under the canonical field names.

    After `validate.complete_event`: `id` is set, `timestamp` is UTC with whole milliseconds, embeddings are base64 of
    little-endian float32, an empty error is None, `properties` and `conversation_metadata` are JSON objects as sent.
    """

    event_name: TextKey
    id: UUID | None = None
    user_id: TextKey | None = None
    conversation_id: TextKey | None = None
    timestamp: int | datetime | None = None
    error: str | None = None
    latency_ms: LatencyMs | None = None
    input: str | None = None
    output: str | None = None
    input_embeddings: str | list[float] | None = None
    output_embeddings: str | list[float] | None = None
    properties: msgspec.Raw = NO_JSON
    conversation_metadata: msgspec.Raw = NO_JSON


class StoredEvent(msgspec.Struct, gc=False):
    """The fields of an encoded event that loading and archiving rely on; the rest is passed through unread.

    `v`: version of the encoded form. Version 1 does not write it; a later one is refused by name, never misread.
    """

    id: UUID
    event_name: str
    timestamp: datetime
    accepted_us: AcceptedUs
    user_id: str = ""
    conversation_id: str = ""
    error: str | None = None
    latency_ms: float | None = None
    input: str | None = None
    output: str | None = None
    input_embeddings: str | None = None
    output_embeddings: str | None = None
    v: Literal[1] = 1


ALIASES: Final = {
    "event_id": "id",
    "type": "event_name",
    "ts": "timestamp",
    "props": "properties",
    "latency": "latency_ms",
    "session_id": "conversation_id",
}

_encoder = msgspec.json.Encoder()
_stored_decoder = msgspec.json.Decoder(StoredEvent)


def encode_event(event: Event, accepted_us: int) -> bytes:
    """One line of JSON: the event and `accepted_us`, Unix microseconds at which it was accepted."""
    return b'{"accepted_us":%d,%b' % (accepted_us, _encoder.encode(event)[1:])


def decode_stored_event(value: bytes) -> StoredEvent:
    """The event inside a Kafka record value.

    Raises:
        msgspec.MsgspecError, ValueError: the bytes are no encoded event, or one of a time that no row can hold;
            decoding them again gives the same.
    """
    event = _stored_decoder.decode(value)
    instant = event.timestamp if event.timestamp.tzinfo else event.timestamp.replace(tzinfo=UTC)
    if not HELD_TIME_START <= instant < HELD_TIME_END:
        raise ValueError(f"no row can hold the timestamp {event.timestamp.isoformat()}")
    return event
