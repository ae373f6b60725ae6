"""What became of the events of one client: counts for anyone who asks, errors for `on_error` and the log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallystream.errors import EventsDropped, TallystreamError

OnError = Callable[[TallystreamError], None]
LOG_AGAIN_SECONDS: Final = 60.0  # the log gets one line per kind of error in this time; `on_error` gets each

_log = logging.getLogger("tallystream")


@dataclass
class Stats:
    """Counts of events since the client was made, and what it holds now."""

    tracked: int = 0
    """Calls that made an event or a change and were taken."""
    acknowledged: int = 0
    """The API has them: in Kafka, or in S3 until Kafka is back. Includes events that earlier processes left behind."""
    rejected: int = 0
    """The API refused them for what they say."""
    invalid: int = 0
    """Calls whose arguments made no event."""
    dropped: int = 0
    """Given up: no room in the queue or the spool, a file of the spool damaged, or closed before the disk had them."""
    recovered: int = 0
    """Taken over from the spools of earlier processes, one file after the other."""
    queued: int = 0
    """Now in memory only: lost if the process is killed."""
    spooled: int = 0
    """Now on disk, not yet acknowledged: a kill does not lose them."""
    requests: int = 0
    """Requests with events, repetitions included."""
    failed_requests: int = 0
    """Those that brought no answer, or one that asks to come again."""


class Ledger:
    """Counts and tells. For any number of threads."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        self._lock = threading.Lock()
        self._logged_at: dict[str, float] = {}
        self.stats = Stats()

    def add(self, **counts: int) -> None:
        """Adds to the counts of these names."""
        with self._lock:
            for name, more in counts.items():
                setattr(self.stats, name, getattr(self.stats, name) + more)

    def give_up(self, count: int) -> None:
        """Counts and tells events that are lost because the client is closed."""
        if count:
            self.add(dropped=count)
            self.tell(EventsDropped("closed before they were acknowledged", reason="closed", count=count))

    def tell(self, error: TallystreamError) -> None:
        """Hands an error to the callback and, now and then, to the log. What the callback raises goes to the log."""
        self._write(error)
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:  # noqa: BLE001 - the application's mistake must not stop delivery
            _log.exception("on_error raised")

    def _write(self, error: TallystreamError) -> None:
        kind = f"{type(error).__name__} {error.reason}"
        now = time.monotonic()
        with self._lock:
            if now - self._logged_at.get(kind, -LOG_AGAIN_SECONDS) < LOG_AGAIN_SECONDS:
                return
            self._logged_at[kind] = now
        about = f"{error.count} events: " if error.count else ""
        _log.warning("%s: %s%s", type(error).__name__, about, error)
