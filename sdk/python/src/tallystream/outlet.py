"""Joins what carries events out of the queue: spool, connection, sender. Opened at the first event, not before.

So importing and constructing cost next to nothing, and a client made before a fork opens nothing it would share.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallystream.compression import Compression
from tallystream.environment import default_spool_root
from tallystream.errors import EventsDropped, SpoolFailed, TallystreamError
from tallystream.ledger import Ledger
from tallystream.limits import Limits, Overflow
from tallystream.memory_queue import MemoryQueue
from tallystream.sender import Calls, Sender
from tallystream.sources import MemorySource, Source

if TYPE_CHECKING:
    from tallystream.spool_source import SpoolSource

_log = logging.getLogger("tallystream")


@dataclass(frozen=True)
class Plan:
    """What opening needs to know. `spool`: None for the default place, if that can be had."""

    url: str
    connect: Callable[[], Any]
    spool: Path | bool | None
    gzip: bool | None
    overflow: Overflow
    limits: Limits


class Outlet:
    """Everything behind the queue. `save` may be called by any thread, the sender by one at a time."""

    def __init__(self, plan: Plan, queue: MemoryQueue, ledger: Ledger) -> None:
        self._queue = queue
        self._ledger = ledger
        self._limits = plan.limits
        self._news: deque[TallystreamError] = deque()
        self._reported_drops = 0
        self._is_closed = False
        self._saving = threading.Lock()
        self._reporting = threading.Lock()
        calls: Calls = plan.connect()
        self.spool = _open_spool(plan, ledger, self._news.append)
        self.source: Source = self.spool or MemorySource(queue, plan.limits)
        compression = Compression(
            lambda: calls.call("GET", "/health", timeout_seconds=self.sender.seconds_left()), wanted=plan.gzip
        )
        self.sender = Sender(self.source, calls, compression, ledger, plan.limits)

    def save(self) -> None:
        """Puts what is in the queue on disk; without a spool, or while the disk refuses, it stays where it is."""
        if self.spool is None:
            return
        with self._saving:
            self._save(self.spool)
        self.report()

    def has_settled(self, position: int) -> bool:
        """Whether every event put up to here is settled, and whatever earlier processes left behind."""
        return self.sender.settled_position >= position and not (self.spool and self.spool.has_adopted)

    def in_memory(self) -> int:
        """How many events are out of the queue and on no disk."""
        if self._is_closed:
            return 0  # given up, and counted so
        is_in_hand = self.spool is None or self.spool.has_unsaved_in_hand
        return (self.sender.in_hand if is_in_hand else 0) + (self.spool.unsaved() if self.spool else 0)

    def report(self) -> None:
        """Tells what went wrong since the last time. Call it without a lock: `on_error` may use the client."""
        while self._news:
            self._ledger.tell(self._news.popleft())
        with self._reporting:
            dropped = self._queue.dropped - self._reported_drops
            self._reported_drops += dropped
        if dropped:
            bounds = f"{self._limits.queue_events} events or {self._limits.queue_bytes} bytes"
            message = f"the queue holds {bounds} at most"
            self._ledger.tell(EventsDropped(message, reason="queue_full", count=dropped))

    def close(self) -> None:
        """Saves what can be saved and lets go of the disk. What only memory holds is given up, and told."""
        self.save()
        if self.spool is not None:
            self.spool.close()
        lost = self._queue.clear() + self.in_memory()
        self._is_closed = True
        self.report()
        self._ledger.give_up(lost)

    def _save(self, spool: SpoolSource) -> None:
        spool.save_again()
        while not spool.has_unsaved:
            taken = self._queue.take(self._limits.batch_events, self._limits.batch_bytes)
            if taken is None:
                return
            spool.save(taken)


def _open_spool(plan: Plan, ledger: Ledger, note: Callable[[TallystreamError], None]) -> SpoolSource | None:
    if plan.spool is False:
        return None
    try:
        from tallystream.spool_folder import folder_of  # noqa: PLC0415 - brings SQLite, which a Python may lack
        from tallystream.spool_source import SpoolSource  # noqa: PLC0415 - as above

        root = plan.spool if isinstance(plan.spool, Path) else default_spool_root()
        return SpoolSource(folder_of(root, plan.url), plan.limits, plan.overflow, ledger, note)
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with the disk, events can go without it
        message = f"events wait in memory only: {problem}"
        if plan.spool is not None:
            note(SpoolFailed(message, reason="spool_failed"))
        else:
            _log.info("no spool, %s", message)
        return None
