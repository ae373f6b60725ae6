"""How much the client holds, sends and waits for. The defaults serve a web service; each has its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Overflow = Literal["drop_newest", "drop_oldest", "block"]
"""What happens to an event when there is no room. `block` waits for room: for programs that may wait."""

OVERFLOWS: Final = ("drop_newest", "drop_oldest", "block")
REQUEST_EVENTS_MAX: Final = 5_000  # the API's
REQUEST_BYTES_MAX: Final = 4_000_000  # the API's


@dataclass(frozen=True)
class Limits:
    """Limits of one client. Times are in the unit of their name."""

    batch_events: int = 2_000
    """Events of one request at most: one connection then carries 10,000 events/s over 100 ms of latency."""
    batch_bytes: int = 1_000_000
    """Bytes of one request at most: what fits through a load balancer too."""
    flush_interval_ms: int = 500
    """An event waits so long for company before it is sent."""
    save_interval_ms: int = 50
    """An event waits so long in memory before it is on disk: what a kill -9 can cost."""
    queue_events: int = 50_000
    """Events in memory at most."""
    queue_bytes: int = 32 * 1024 * 1024
    """Bytes of encoded events in memory at most."""
    spool_bytes: int = 256 * 1024 * 1024
    """Bytes of events on disk at most, those that earlier clients left behind included: a day of an unreachable API at
    five events a second of 600 bytes."""
    request_timeout_seconds: float = 35.0
    """The API's gateway answers within 29 seconds."""
    sync_timeout_seconds: float = 10.0
    """A call waits so long in `sync` mode, retries included."""
    exit_timeout_seconds: float = 5.0
    """The end of the process waits so long for what is still to be sent."""

    def __post_init__(self) -> None:
        """Refuse limits that the API would refuse.

        Raises:
            ValueError: one of them is out of range.
        """
        if not 1 <= self.batch_events <= REQUEST_EVENTS_MAX:
            raise ValueError(f"batch_events is 1 to {REQUEST_EVENTS_MAX}")
        if not 1 <= self.batch_bytes <= REQUEST_BYTES_MAX:
            raise ValueError(f"batch_bytes is 1 to {REQUEST_BYTES_MAX}")
        if self.queue_events < 1 or self.queue_bytes < 1 or self.spool_bytes < 1:
            raise ValueError("queue_events, queue_bytes and spool_bytes are at least 1")


DEFAULT_LIMITS: Final = Limits()
