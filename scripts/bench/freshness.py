"""Sees events become visible: asks the engine every tenth of a second for those that are not there yet."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from event_analytics.ports import EventStore

LOOK_SECONDS: Final = 0.1
SOUGHT_MAX: Final = 200  # ids in one look: a backlog must not make the looks expensive
UNSEEN_SECONDS_MAX: Final = 60.0

_LOOK: Final = "SELECT DISTINCT id FROM events WHERE id IN {ids:Array(UUID)}"


class FreshnessWatch:
    """Milliseconds from the answer 202 to the first look that found the event; at most a look too long."""

    def __init__(self, store: EventStore) -> None:
        self.delays_ms: list[float] = []
        self._store = store
        self._sought: dict[str, float] = {}
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def seek(self, identifier: str, accepted_at: float) -> None:
        """Look for an event that was accepted at that moment of the monotonic clock."""
        with self._lock:
            self._sought[identifier] = accepted_at

    def watch(self) -> None:
        """Look until `stop`, and then until all were found, or far too much time went by."""
        deadline = None
        while True:
            self._look()
            if self._is_over.is_set():
                deadline = deadline or time.monotonic() + UNSEEN_SECONDS_MAX
                if not self._sought or time.monotonic() > deadline:
                    return
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Seek nothing new."""
        self._is_over.set()

    def _look(self) -> None:
        with self._lock:
            ids = list(self._sought)[:SOUGHT_MAX]
        if not ids:
            return
        found = [row["id"] for row in self._store.select(_LOOK, {"ids": ids})]
        now = time.monotonic()
        with self._lock:
            self.delays_ms += [max(0.0, now - self._sought.pop(identifier)) * 1_000 for identifier in found]


@contextmanager
def watching(store: EventStore) -> Iterator[FreshnessWatch]:
    """A watch that looks while the block lasts, and after it until everything sought was found."""
    watch = FreshnessWatch(store)
    thread = threading.Thread(target=watch.watch, name="freshness")
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
