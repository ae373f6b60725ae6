"""Joins what carries events out of the queue: spool, connection, sender. Opened at the first event, not before.

So importing and constructing cost next to nothing, and a client made before a fork opens nothing it would share.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystream.compression import Compression
from tallystream.environment import default_spool_root
from tallystream.errors import EventsDropped, SpoolFailed
from tallystream.ledger import Ledger
from tallystream.limits import Limits, Overflow
from tallystream.memory_queue import MemoryQueue
from tallystream.sender import Calls, Sender
from tallystream.sources import DISK_ERRORS, MemorySource, SpoolSource
from tallystream.spool_folder import adopt_spools, create_spool, folder_of

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
        self._reported_drops = 0
        self._saving = threading.Lock()
        self.spool = _open_spool(plan, ledger)
        self.source = self.spool or MemorySource(queue, plan.limits)
        calls: Calls = plan.connect()
        compression = Compression(lambda: calls.call("GET", "/health"), wanted=plan.gzip)
        self.sender = Sender(self.source, calls, compression, ledger, plan.limits)

    def save(self) -> None:
        """Puts what is in the queue on disk; without a spool, or while the disk refuses, it stays where it is."""
        if self.spool is None:
            return
        with self._saving:
            self.spool.save_again()
            while not self.spool.has_unsaved:
                taken = self._queue.take(self._limits.batch_events, self._limits.batch_bytes)
                if taken is None:
                    return
                self.spool.save(taken)

    def has_settled(self, position: int) -> bool:
        """Whether every event put up to here is settled, and whatever earlier processes left behind."""
        return self.sender.settled_position >= position and not (self.spool and self.spool.has_adopted)

    def report_drops(self) -> None:
        """Tells of the events that the queue had to give up since the last time."""
        dropped = self._queue.dropped - self._reported_drops
        if dropped:
            self._reported_drops += dropped
            bounds = f"{self._limits.queue_events} events or {self._limits.queue_bytes} bytes"
            message = f"the queue holds {bounds} at most"
            self._ledger.tell(EventsDropped(message, reason="queue_full", count=dropped))

    def close(self) -> None:
        """Saves what can be saved and lets go of the disk. What only memory holds is given up, and told."""
        self.save()
        self.report_drops()
        lost = len(self._queue) + (self.spool.close() if self.spool else self.sender.in_hand)
        if lost:
            self._ledger.add(dropped=lost)
            message = "closed before they were acknowledged"
            self._ledger.tell(EventsDropped(message, reason="closed", count=lost))


def _open_spool(plan: Plan, ledger: Ledger) -> SpoolSource | None:
    if plan.spool is False:
        return None
    is_wanted = plan.spool is not None
    try:
        root = plan.spool if isinstance(plan.spool, Path) else default_spool_root()
        folder = folder_of(root, plan.url)
        own = create_spool(folder)
        adopted = adopt_spools(folder)
    except (*DISK_ERRORS, RuntimeError) as problem:  # RuntimeError: there is no home folder
        message = f"events wait in memory only: {problem}"
        if is_wanted:
            ledger.tell(SpoolFailed(message, reason="spool_failed"))
        else:
            _log.info("no spool, %s", message)
        return None
    ledger.add(recovered=sum(spool.events for spool in adopted))
    return SpoolSource(own, adopted, plan.limits, plan.overflow, ledger)
