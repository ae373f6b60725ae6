"""`POST /batch`: creates, updates and deletes mixed -> one item each. A bad operation is its own item and nothing more.

`{"op": "create", ...event}`, `{"op": "update", "id": ..., ...fields}`, `{"op": "delete", "id": ...}`.

Two ways to the same item, as for an event (`validate`): an ordinary operation is decoded in one go; whatever that does
not take is read field by field, and only there is an update or delete refused. A property test holds the two together.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from event_analytics.change import CLEARING_PATCH, Change, accept_delete, accept_update
from event_analytics.errors import Reason, Refused
from event_analytics.event import NO_JSON, Event, LatencyMs, TextKey
from event_analytics.event_fields import ESCAPED_NUL, READERS, check_object, fields_of, resolve_names
from event_analytics.identifiers import RANDOM_BYTES_OF_ID, mint_uuid7
from event_analytics.ingest import Item, draw_at_once, item_of_change, item_of_decoded_event, item_of_event
from event_analytics.validate import Acceptance

_OP: Final = "op"
_OPERATIONS: Final = ("create", "update", "delete")
_ID_NAMES: Final = ("id", "event_id")
_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Fields = Mapping[str, msgspec.Raw]


class _Create(Event, tag_field=_OP, tag="create"):
    """An event under the canonical field names."""


class _Update(msgspec.Struct, tag_field=_OP, tag="update", forbid_unknown_fields=True):
    """Canonical names in alphabetical order, which is that of `Change.fields`. UNSET: not named. None: to be cleared.

    Embeddings are not here: their cost is their own.
    """

    id: UUID
    conversation_metadata: msgspec.Raw | UnsetType = UNSET
    error: str | UnsetType | None = UNSET
    event_name: TextKey | UnsetType = UNSET
    input: str | UnsetType | None = UNSET
    latency_ms: LatencyMs | UnsetType | None = UNSET
    output: str | UnsetType | None = UNSET
    properties: msgspec.Raw | UnsetType = UNSET


class _Delete(msgspec.Struct, tag_field=_OP, tag="delete", forbid_unknown_fields=True):
    id: UUID


_, *_UPDATED = _Update.__struct_fields__
_decoder = msgspec.json.Decoder(_Create | _Update | _Delete)


def plan_operations(raw_operations: Sequence[bytes], acceptance: Acceptance) -> list[Item]:
    """One item per operation, in the order sent."""
    acceptance = draw_at_once(acceptance, len(raw_operations))
    return [
        _plan_ordinary(raw, index, acceptance) or plan_by_field(raw, index, acceptance)
        for index, raw in enumerate(raw_operations)
    ]


def plan_update(identifier: str, raw: bytes, acceptance: Acceptance) -> Item:
    """The item of `PUT /event/{id}`."""
    try:
        fields = fields_of(raw)
    except Refused as refused:
        return Item(None, None, refused)
    return _change_item(identifier, fields, 0, acceptance)


def plan_delete(identifier: str, acceptance: Acceptance) -> Item:
    """The item of `DELETE /event/{id}`."""
    return _change_item(identifier, None, 0, acceptance)


def _plan_ordinary(raw: bytes, index: int, acceptance: Acceptance) -> Item | None:
    """None where the operation has to be read field by field."""
    try:
        operation = _decoder.decode(raw)
    except _UNDECODABLE:
        return None
    if isinstance(operation, _Delete):
        return item_of_change(accept_delete(operation.id, *_stamp(index, acceptance)), acceptance)
    if ESCAPED_NUL in raw:
        return None
    if isinstance(operation, _Create):
        return item_of_decoded_event(Event(*astuple(operation)), index, acceptance)
    change = _accept_decoded(operation, index, acceptance)
    return item_of_change(change, acceptance) if change is not None else None


def _accept_decoded(update: _Update, index: int, acceptance: Acceptance) -> Change | None:
    """As `accept_update`, but None where that refuses."""
    fields = [name for name in _UPDATED if getattr(update, name) is not UNSET]
    metadata, patch = update.conversation_metadata, update.properties
    try:
        if metadata is not UNSET:
            metadata = check_object(metadata, "conversation_metadata")
        if patch is not UNSET:
            checked = check_object(patch, "properties")
            patch = CLEARING_PATCH if checked is NO_JSON else checked
    except Refused:
        return None
    if not fields:
        return None
    change_id, version = _stamp(index, acceptance)
    return Change(
        change_id,
        update.id,
        version,
        fields=fields,
        event_name=update.event_name,
        error=update.error,
        latency_ms=update.latency_ms,
        input=update.input,
        output=update.output,
        conversation_metadata=metadata,
        patch=patch,
    )


def plan_by_field(raw: bytes, index: int, acceptance: Acceptance) -> Item:
    """The item of any operation, in twice the time."""
    try:
        members = dict(fields_of(raw))
        operation = _read_operation(members)
        if operation == "create":
            members = resolve_names(members)  # refuses those that are broken Unicode: no encoder takes them
        else:
            identifier = _pop_id(members)
    except Refused as refused:
        return Item(None, None, refused)
    if operation == "create":
        return item_of_event(msgspec.json.encode(members), index, acceptance)
    if operation == "delete" and members:
        name = next(iter(members))[:80].encode("utf-8", "replace").decode()
        return Item(identifier, None, Refused(Reason.UNKNOWN_FIELD, "a delete names its id and nothing else", name))
    return _change_item(identifier, members if operation == "update" else None, index, acceptance)


def _read_operation(members: dict[str, msgspec.Raw]) -> str:
    try:
        operation = msgspec.json.decode(members.pop(_OP, b"null"))
    except _UNDECODABLE:
        operation = None
    if operation not in _OPERATIONS:
        raise Refused(Reason.OPERATION_INVALID, f"op is one of {', '.join(_OPERATIONS)}", _OP)
    return str(operation)


def _pop_id(members: dict[str, msgspec.Raw]) -> str:
    given: Mapping[str, msgspec.Raw] = {name: members.pop(name) for name in _ID_NAMES if name in members}
    if len(given) != 1:
        raise Refused(Reason.OPERATION_INVALID, "an update or delete names the id of its event", "id")
    return str(READERS["id"](bytes(next(iter(given.values()))), "id"))


def _change_item(identifier: str, fields: _Fields | None, index: int, acceptance: Acceptance) -> Item:
    """`fields`: of an update; None for a delete."""
    try:
        change = _accept_change(_read_id(identifier), fields, index, acceptance)
    except Refused as refused:
        return Item(None, None, refused)
    return item_of_change(change, acceptance)


def _read_id(identifier: str) -> UUID:
    try:
        return msgspec.convert(identifier, UUID)
    except msgspec.ValidationError:
        raise Refused(Reason.ID_INVALID, "an id is a UUID", "id") from None


def _accept_change(identifier: UUID, fields: _Fields | None, index: int, acceptance: Acceptance) -> Change:
    change_id, version = _stamp(index, acceptance)
    if fields is None:
        return accept_delete(identifier, change_id, version)
    return accept_update(identifier, fields, change_id, version)


def _stamp(index: int, acceptance: Acceptance) -> tuple[UUID, int]:
    """Id and version of a change. Those of one request keep their order: each has a version of its own, 1 us apart."""
    change_id = mint_uuid7(acceptance.accepted_us // 1_000, acceptance.random_bytes(RANDOM_BYTES_OF_ID))
    return change_id, acceptance.accepted_us + index
