"""Raw JSON of one event -> an accepted event, or the reason why not.

Two ways to the same answer. The fast way decodes into `Event` in one pass and serves whatever a well-behaved client
sends. Whatever it does not take is read field by field (`event_fields`), which resolves aliases and names the fault.
A property test holds the two together.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from event_analytics.embeddings import pack_embedding
from event_analytics.errors import Reason, Refused
from event_analytics.event import TIMESTAMP_AHEAD_MS_MAX, TIMESTAMP_MS_MIN, Event
from event_analytics.event_fields import ESCAPED_NUL, check_object, read_fields, refuse_nul
from event_analytics.identifiers import derive_uuid8, mint_uuid7, timestamp_ms_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Acceptance(NamedTuple):
    """What the act of accepting adds to an event.

    `accepted_us`: Unix microseconds. `random_bytes(n)`: n unpredictable bytes. `idempotency`: (key owner,
    Idempotency-Key) where the client sent one; ids are then derived from it and the item's index.
    """

    accepted_us: int
    random_bytes: Callable[[int], bytes]
    idempotency: tuple[str, str] | None = None


_BACKSLASH: Final = ord("\\")  # as a number: bytes find one ten times as fast as they find bytes
_event_decoder = msgspec.json.Decoder(Event)


def accept_event(raw: bytes, index: int, acceptance: Acceptance) -> Event:
    """The complete event inside `raw`, the item at `index` of its request.

    Raises:
        Refused: with the reason and, where there is one, the canonical name of the field at fault.
    """
    try:
        event = _event_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event = read_fields(raw)
    if _BACKSLASH in raw and ESCAPED_NUL in raw:
        refuse_nul(raw)
    return complete_event(event, index, acceptance)


def complete_event(event: Event, index: int, acceptance: Acceptance) -> Event:
    """The same event with id, timestamp and embeddings in their stored form, checked as a whole.

    Raises:
        Refused: for what no single field shows.
    """
    if event.user_id is None and event.conversation_id is None:
        raise Refused(Reason.ACTOR_MISSING, "user_id or conversation_id is required", "user_id")
    _settle_identity(event, index, acceptance)
    event.error = event.error or None
    event.input_embeddings = pack_embedding(event.input_embeddings, "input_embeddings")
    event.output_embeddings = pack_embedding(event.output_embeddings, "output_embeddings")
    event.properties = check_object(event.properties, "properties")
    event.conversation_metadata = check_object(event.conversation_metadata, "conversation_metadata")
    return event


def _settle_identity(event: Event, index: int, acceptance: Acceptance) -> None:
    """Give the event its id and time. A retry of the same request must find the same pair again."""
    accepted_ms = acceptance.accepted_us // 1_000
    timestamp_ms = _timestamp_ms(event.timestamp)
    if event.id is not None:
        timestamp_ms = timestamp_ms if timestamp_ms is not None else timestamp_ms_of(event.id)
        if timestamp_ms is None:
            raise Refused(Reason.TIMESTAMP_REQUIRED, "an id that is no UUIDv7 needs a timestamp", "timestamp")
    elif acceptance.idempotency is not None:
        if timestamp_ms is None:
            raise Refused(Reason.TIMESTAMP_REQUIRED, "with Idempotency-Key an event needs a timestamp", "timestamp")
        event.id = derive_uuid8(*acceptance.idempotency, str(index))
    timestamp_ms = accepted_ms if timestamp_ms is None else timestamp_ms
    if not TIMESTAMP_MS_MIN <= timestamp_ms <= accepted_ms + TIMESTAMP_AHEAD_MS_MAX:
        raise Refused(Reason.TIMESTAMP_OUT_OF_RANGE, "the timestamp lies before 2000 or over a day ahead", "timestamp")
    event.timestamp = datetime.fromtimestamp(timestamp_ms / 1_000, UTC)  # exact to the microsecond until 2106 and later
    if event.id is None:
        event.id = mint_uuid7(timestamp_ms, acceptance.random_bytes(10))


def _timestamp_ms(timestamp: int | datetime | None) -> int | None:
    if not isinstance(timestamp, datetime):
        return timestamp
    if timestamp.tzinfo is None:
        raise Refused(Reason.TIMESTAMP_INVALID, "a timestamp needs its offset from UTC, such as Z", "timestamp")
    difference = timestamp - _EPOCH
    return difference.days * 86_400_000 + difference.seconds * 1_000 + difference.microseconds // 1_000
