"""How far a mapping is, in numbers. The runner writes it, the status page reads it; no lock is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local_runtime.kafka_trigger.mapping import Mapping

STARTING, RUNNING, DISABLED, STOPPING = "starting", "running", "disabled", "stopping"


@dataclass
class Progress:
    """Counts since the start: records unless the name says invocations. `lag` is None until it is known.

    `lags` and `offsets` are by partition: records that are not committed, and the offset that is.
    """

    mapping: Mapping
    state: str = STARTING
    polled: int = 0
    filtered: int = 0
    invoked: int = 0
    failed: int = 0
    dropped: int = 0
    delivered: int = 0
    committed: int = 0
    invocations: int = 0
    failed_invocations: int = 0
    throttled_invocations: int = 0
    rebalances: int = 0
    gaps_healed: int = 0
    offsets_skipped: int = 0
    lag: int | None = None
    lags: dict[int, int] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    pollers: int = 0
    in_flight: int = 0
    retrying: int = 0
    last_error: str | None = None

    def is_ready(self) -> bool:
        """Return whether the mapping reads its topic, or is not meant to."""
        return self.state in (RUNNING, DISABLED)

    def describe(self) -> dict[str, Any]:
        """Return what the status page shows."""
        names = {key: getattr(self.mapping, key) for key in ("name", "uuid", "function", "topic", "group")}
        return names | {key: value for key, value in vars(self).items() if key != "mapping"}
