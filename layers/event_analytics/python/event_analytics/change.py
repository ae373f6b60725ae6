"""What one change of an event is: an update of some fields, or a delete; and its one encoded form.

A change knows only the event's id. It carries a version (microseconds at acceptance) and a change id that every
redelivery and replay keeps, so the log of changes is a set. The encoded form is a line of JSON, the Kafka record value
on `event-changes` and the row of the table of that name; `change_id` comes first, which tells it from an event.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UnsetType

from event_analytics.embeddings import pack_embedding
from event_analytics.errors import Reason, Refused
from event_analytics.event import NO_JSON, AcceptedUs
from event_analytics.event_fields import ESCAPED_NUL, READERS, check_object, refuse_nul_in, resolve_names

IMMUTABLE_FIELDS: Final = frozenset({"id", "user_id", "conversation_id", "timestamp"})
# A patch that is the JSON text "null" empties the properties: as RFC 7396 has it, a patch that is no object replaces.
CLEARING_PATCH: Final = msgspec.Raw(b'"null"')
_PREFIX: Final = b'{"change_id":'
_JSON_NULL: Final = b"null"


class Change(msgspec.Struct, omit_defaults=True):
    """One change. `fields` names what it sets; a named field without a value is cleared.

    `patch` is a JSON merge patch (RFC 7396) of `properties`. Embeddings are base64 of float32. None and UNSET
    are not encoded.
    """

    change_id: UUID
    id: UUID
    version: int
    is_deleted: int = 0
    fields: list[str] = []
    event_name: str | UnsetType | None = None
    error: str | UnsetType | None = None
    latency_ms: float | UnsetType | None = None
    input: str | UnsetType | None = None
    output: str | UnsetType | None = None
    conversation_metadata: msgspec.Raw | UnsetType = NO_JSON
    patch: msgspec.Raw | UnsetType = NO_JSON
    input_embeddings_base64: str = ""
    output_embeddings_base64: str = ""


class StoredChange(msgspec.Struct):
    """The fields of an encoded change that loading relies on; types are checked, the rest is passed through.

    `v`: as in `StoredEvent`.
    """

    change_id: UUID
    id: UUID
    version: AcceptedUs
    is_deleted: int = 0
    fields: list[str] = []
    event_name: str | None = None
    error: str | None = None
    latency_ms: float | None = None
    input: str | None = None
    output: str | None = None
    conversation_metadata: dict[str, Any] | None = None
    patch: dict[str, Any] | str | None = None
    input_embeddings_base64: str = ""
    output_embeddings_base64: str = ""
    v: Literal[1] = 1


CHANGE_COLUMNS: Final = Change.__struct_fields__

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredChange)


def is_change(value: bytes) -> bool:
    """Whether a Kafka record value is a change and not an event."""
    return value.startswith(_PREFIX)


def encode_change(change: Change) -> bytes:
    """One line of JSON."""
    return _encoder.encode(change)


def decode_stored_change(value: bytes) -> StoredChange:
    """The change inside a Kafka record value.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError: the bytes are no encoded change.
    """
    return _decoder.decode(value)


def accept_update(identifier: UUID, fields: Mapping[str, msgspec.Raw], change_id: UUID, version: int) -> Change:
    """The change that an update asks for; `fields` are those to set as the client names them, null clears one.

    Raises:
        Refused: immutable_field, no_fields, or the reason of a field that is wrong.
    """
    named = resolve_names(fields)
    for name in named:
        if name in IMMUTABLE_FIELDS:
            raise Refused(Reason.IMMUTABLE_FIELD, f"{name} cannot change: delete the event and create another", name)
    if not named:
        raise Refused(Reason.NO_FIELDS, "an update sets at least one field")
    change = Change(change_id, identifier, version, fields=sorted(named))
    for name, value in named.items():
        text = bytes(value)
        _set_field(change, name, text)
        if ESCAPED_NUL in text:
            refuse_nul_in(text, name)
    return change


def accept_delete(identifier: UUID, change_id: UUID, version: int) -> Change:
    """The change that deletes an event, for ever."""
    return Change(change_id, identifier, version, is_deleted=1)


def _set_field(change: Change, name: str, raw: bytes) -> None:
    if raw == _JSON_NULL:
        if name == "event_name":
            raise Refused(Reason.FIELD_MISSING, "an event keeps a name", name)
        if name == "properties":
            change.patch = CLEARING_PATCH
        return
    value = READERS[name](raw, name)
    if name in ("input_embeddings", "output_embeddings"):
        setattr(change, f"{name}_base64", pack_embedding(value, name) or "")
    elif name in ("properties", "conversation_metadata"):
        setattr(change, "patch" if name == "properties" else name, check_object(value, name))
    else:
        setattr(change, name, value)
