"""What an event must look like: its first accepted create, plus its changes in the order of their versions."""

from typing import Any

SET_FIELDS = ("event_name", "error", "latency_ms", "input", "output", "conversation_metadata", "input_embeddings")


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
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
    """A changed event keeps no null members, wherever they came from."""
    if not isinstance(document, dict):
        return document
    return {name: without_nulls(value) for name, value in document.items() if value is not None}


class Event:
    """One id: what was sent for it, in the order of acceptance."""

    def __init__(self) -> None:
        self.create: dict[str, Any] | None = None
        self.changes: list[dict[str, Any] | None] = []  # None is a delete

    def expected(self) -> dict[str, Any] | None:
        """Its fields; None where it does not exist."""
        if self.create is None or None in self.changes:
            return None
        fields = {name: self.create.get(name) for name in SET_FIELDS}
        properties = self.create.get("properties") or {}
        for change in self.changes:
            assert change is not None
            fields |= {name: value for name, value in change.items() if name in SET_FIELDS}
            if "properties" in change:
                properties = merge_patch(properties, change["properties"]) or {}
        properties = without_nulls(properties) if self.changes else properties
        return {**fields, "error": fields["error"] or None, "properties": properties}
