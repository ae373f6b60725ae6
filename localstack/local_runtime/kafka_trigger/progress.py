"""How far a mapping is, in numbers. The runner writes it, the status page reads it; no lock is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_runtime.kafka_trigger.mapping import Mapping


@dataclass
class Progress:
    """Counts since the start: records unless the name says invocations. `lag` is None until it is known."""

    mapping: Mapping
    state: str = "starting"
    polled: int = 0
    invoked: int = 0
    failed: int = 0
    committed: int = 0
    invocations: int = 0
    failed_invocations: int = 0
    gaps_healed: int = 0
    offsets_skipped: int = 0
    lag: int | None = None
    in_flight: int = 0
    retrying: int = 0
    last_error: str | None = None

    def is_ready(self) -> bool:
        """Return whether the mapping reads its topic, or is not meant to."""
        return self.state in ("running", "disabled")

    def describe(self) -> dict[str, Any]:
        """Return what the status page shows."""
        names = {key: getattr(self.mapping, key) for key in ("name", "function", "topic", "group")}
        return names | {key: value for key, value in vars(self).items() if key != "mapping"}
