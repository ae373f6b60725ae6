"""What was sent for one id, in the order of sending, and every state that this allows in the end. Pure.

The model knows nothing of versions, folds or batches: the first create, then each change on top of it, and a delete
hides the event for ever.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final, NamedTuple

from scripts.chaos.workload import CREATE, DELETE, Operation

COMPARED_FIELDS: Final = (
    "user_id", "conversation_id", "event_name", "timestamp", "error", "latency_ms", "input", "output", "properties",
)  # fmt: skip
ACCEPTED, SPOOLED, UNKNOWN = "accepted", "spooled", "unknown"  # by the broker; by S3 while it was away; nobody knows
UNKNOWN_MAX: Final = 10  # 2,048 outcomes to look at; a run has two or three for one id

State = dict[str, Any] | None  # None: no such event


class Sent(NamedTuple):
    """One operation that was sent. `status`: ACCEPTED, SPOOLED or UNKNOWN. `note`: for people."""

    operation: Operation
    status: str
    note: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether it was acknowledged."""
        return self.status in (ACCEPTED, SPOOLED)


class History:
    """One id."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def add(self, sent: Sent) -> None:
        """Note what was sent. An unknown operation sent once more changes nothing that the second does not."""
        if self.sent and not self.sent[-1].is_certain and self.sent[-1].operation == sent.operation:
            self.sent.pop()
        self.sent.append(sent)

    def count_certain(self, *kinds: str) -> int:
        """How many acknowledged operations of these kinds there are."""
        return sum(sent.is_certain and sent.operation.kind in kinds for sent in self.sent)

    def allowed(self) -> list[State]:
        """Every state that some outcome of the unknown operations leads to."""
        states: list[State] = []
        for operations in self._outcomes():
            state = final_state(operations)
            if state not in states:
                states.append(state)
        return states

    def _outcomes(self) -> Iterator[list[Operation]]:
        unknown = [index for index, sent in enumerate(self.sent) if not sent.is_certain]
        # Beyond the limit the oldest are taken as landed or not together: never seen, and it keeps this finite.
        together, alone = unknown[:-UNKNOWN_MAX], unknown[-UNKNOWN_MAX:]
        for did_oldest_land, *landed in product((False, True), repeat=len(alone) + 1):
            left_out = {index for index, did_land in zip(alone, landed, strict=True) if not did_land}
            left_out |= set() if did_oldest_land else set(together)
            yield [sent.operation for index, sent in enumerate(self.sent) if index not in left_out]


def final_state(operations: list[Operation]) -> State:
    """What the API has to answer once all of them have arrived."""
    create = next((each for each in operations if each.kind == CREATE), None)
    changes = [each for each in operations if each.kind != CREATE]
    if create is None or any(change.kind == DELETE for change in changes):
        return None
    state = {name: create.fields.get(name) for name in COMPARED_FIELDS}
    properties: Any = state["properties"] or {}
    for change in changes:
        state |= {name: value for name, value in change.fields.items() if name != "properties"}
        if "properties" in change.fields:
            properties = merge_patch(properties, change.fields["properties"])
    state["properties"] = without_nulls(properties) if changes else properties
    return comparable(state)


def comparable(event: dict[str, Any]) -> dict[str, Any]:
    """The fields that are compared; an empty error is none, missing properties are empty."""
    return {
        **{name: event.get(name) for name in COMPARED_FIELDS},
        "error": event.get("error") or None,
        "properties": event.get("properties") or {},
    }


def merge_patch(target: Any, patch: Any) -> Any:
    """As RFC 7396 has it."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def without_nulls(document: Any) -> Any:
    """A changed event keeps no null members."""
    if not isinstance(document, dict):
        return document
    return {name: without_nulls(value) for name, value in document.items() if value is not None}
