"""What an event must look like: its first accepted create, plus its changes in the order of their versions."""

from typing import Any

from scripts.chaos.history import merge_patch, without_nulls

SET_FIELDS = ("event_name", "error", "latency_ms", "input", "output", "conversation_metadata", "input_embeddings")


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
