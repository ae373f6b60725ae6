"""`POST /batch`: creates, updates and deletes mixed -> one item each. A bad operation is its own item and nothing more.

`{"op": "create", ...event}`, `{"op": "update", "id": ..., ...fields}`, `{"op": "delete", "id": ...}`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from event_analytics.change import Change, accept_delete, accept_update
from event_analytics.errors import Reason, Refused
from event_analytics.event_fields import READERS, fields_of
from event_analytics.identifiers import mint_uuid7
from event_analytics.ingest import Item, item_of_change, item_of_event
from event_analytics.validate import Acceptance

_OP: Final = "op"
_OPERATIONS: Final = ("create", "update", "delete")
_ID_NAMES: Final = ("id", "event_id")
_Fields = Mapping[str, msgspec.Raw]


def plan_operations(raw_operations: Sequence[bytes], acceptance: Acceptance) -> list[Item]:
    """One item per operation, in the order sent."""
    return [_plan_operation(raw, index, acceptance) for index, raw in enumerate(raw_operations)]


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


def _plan_operation(raw: bytes, index: int, acceptance: Acceptance) -> Item:
    try:
        members = dict(fields_of(raw))
        operation = _read_operation(members)
        if operation != "create":
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
    operation = msgspec.json.decode(members.pop(_OP, b"null"))
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
    # Changes of one request keep their order: each has a version of its own, a microsecond apart.
    version = acceptance.accepted_us + index
    change_id = mint_uuid7(acceptance.accepted_us // 1_000, acceptance.random_bytes(10))
    if fields is None:
        return accept_delete(identifier, change_id, version)
    return accept_update(identifier, fields, change_id, version)
