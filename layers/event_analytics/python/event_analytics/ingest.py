"""A write request -> records to append, and the answer once the log has spoken. Decides; `functions/ingest` acts."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from event_analytics.errors import Reason, Refused
from event_analytics.event import EVENT_BYTES_MAX
from event_analytics.routing import Record, route_event
from event_analytics.validate import Acceptance, accept_event

IDEMPOTENCY_KEY_LENGTH_MAX: Final = 200  # a UUID or a hash fits several times

ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
RETRY: Final = "retry"


class Item(NamedTuple):
    """One event of a request: its id where it has one, and either its record or why it is refused."""

    id: str | None
    record: Record | None
    refused: Refused | None


def plan_items(raw_events: Sequence[bytes], acceptance: Acceptance) -> list[Item]:
    """One item per event, in the order sent. A bad event is its own item and nothing more."""
    return [_plan_item(raw, index, acceptance) for index, raw in enumerate(raw_events)]


def _plan_item(raw: bytes, index: int, acceptance: Acceptance) -> Item:
    try:
        event = accept_event(raw, index, acceptance)
    except Refused as refused:
        return Item(None, None, refused)
    record = route_event(event, acceptance.accepted_us)
    if len(record.value) > EVENT_BYTES_MAX:
        message = f"an event has at most {EVENT_BYTES_MAX} bytes encoded, this one {len(record.value)}"
        return Item(str(event.id), None, Refused(Reason.EVENT_TOO_LARGE, message))
    return Item(str(event.id), record, None)


def describe_items(items: Sequence[Item], acknowledged: Sequence[bool]) -> list[dict[str, str | None]]:
    """What the answer says of each item. `acknowledged`: the log's answer for each record, in order."""
    answers = iter(acknowledged)
    return [_describe_item(item, item.record is not None and next(answers)) for item in items]


def _describe_item(item: Item, is_acknowledged: bool) -> dict[str, str | None]:  # noqa: FBT001 - of two, in order
    if item.refused is not None:
        described: dict[str, str | None] = {
            "id": item.id,
            "status": REJECTED,
            "reason": str(item.refused.reason),
            "message": item.refused.message,
        }
        return {**described, "field": item.refused.field} if item.refused.field else described
    if is_acknowledged:
        return {"id": item.id, "status": ACCEPTED}
    return {"id": item.id, "status": RETRY, "reason": str(Reason.LOG_UNAVAILABLE)}


def read_idempotency_key(text: str | None) -> str | None:
    """The key, or None where the client sent none.

    Raises:
        Refused: idempotency_key_invalid.
    """
    if text is None:
        return None
    if not 1 <= len(text) <= IDEMPOTENCY_KEY_LENGTH_MAX or not text.isprintable():
        message = f"Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters"
        raise Refused(Reason.IDEMPOTENCY_KEY_INVALID, message)
    return text
