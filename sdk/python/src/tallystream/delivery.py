"""Who runs the outlet: the caller's own thread, or two daemon threads (`background_delivery`). Neither ever raises."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from tallystream.errors import RequestRefused
from tallystream.ledger import Ledger
from tallystream.memory_queue import MemoryQueue
from tallystream.sender import Attempt

if TYPE_CHECKING:
    from tallystream.outlet import Outlet

MISTAKE_SECONDS: Final = 10.0  # what a mistake of ours may cost in log lines

_log = logging.getLogger("tallystream")
OpenOutlet = Callable[[], "Outlet"]


class Delivery(Protocol):
    """What a client needs of whoever carries its events."""

    outlet: Outlet | None

    def rouse(self) -> None:
        """Called when the queue has got its first line, or a whole batch."""

    def flush(self, timeout_seconds: float) -> bool:
        """Whether every event put before the call is settled now; waits for it, but not once the key is refused."""

    def close(self, timeout_seconds: float, *, is_exit: bool = False) -> bool:
        """As `flush`; afterwards nothing runs any more.

        `is_exit`: do not wait for an API that fails, if all is on disk.
        """


class DirectDelivery:
    """In the caller's thread: `flush` sends. For programs that are frozen between calls."""

    def __init__(self, queue: MemoryQueue, open_outlet: OpenOutlet, ledger: Ledger) -> None:
        self._queue = queue
        self._open_outlet = open_outlet
        self._ledger = ledger
        self._lock = threading.Lock()
        self._sending_thread: int | None = None
        self.outlet: Outlet | None = None

    def rouse(self) -> None:
        """Nothing runs until `flush`."""

    def flush(self, timeout_seconds: float) -> bool:
        """See `Delivery`."""
        if self._sending_thread == threading.get_ident():
            return False  # called by `on_error`: it would wait for itself
        deadline = time.monotonic() + timeout_seconds
        if not self._lock.acquire(timeout=min(max(timeout_seconds, 0.0), threading.TIMEOUT_MAX)):
            return False  # another thread sends: it may take our events along
        self._sending_thread = threading.get_ident()
        try:
            return self._flush_until(deadline)
        finally:
            self._sending_thread = None
            self._lock.release()

    def close(self, timeout_seconds: float, *, is_exit: bool = False) -> bool:  # noqa: ARG002 - see Delivery
        """See `Delivery`."""
        is_settled = self.flush(timeout_seconds) if self._queue.position else True
        self._queue.close()
        if self.outlet is not None:
            self.outlet.close()
        else:
            self._ledger.give_up(self._queue.clear())
        return is_settled

    def _flush_until(self, deadline: float) -> bool:
        target = self._queue.position
        if self.outlet is None:
            self.outlet = try_opening(self._open_outlet, self._ledger)
        if self.outlet is None:
            return False
        self.outlet.save()
        self._send_until(deadline, self.outlet)
        return self.outlet.has_settled(target)

    def _send_until(self, deadline: float, outlet: Outlet) -> None:
        while time.monotonic() < deadline and (attempt := try_sending(outlet, deadline)) is not None:
            if attempt.is_standstill or attempt.pause_seconds > deadline - time.monotonic():
                return
            time.sleep(attempt.pause_seconds)
            outlet.save()


def try_opening(open_outlet: OpenOutlet, ledger: Ledger) -> Outlet | None:
    """The outlet; None, and told, if something that it needs is missing."""
    try:
        outlet = open_outlet()
    except Exception as problem:  # noqa: BLE001 - whatever this Python or its environment lacks, no caller is to hear it
        ledger.tell(RequestRefused(f"nothing can be sent: {problem!r}", reason="setup_failed"))
        return None
    outlet.report()
    return outlet


def try_sending(outlet: Outlet, deadline: float | None = None) -> Attempt | None:
    """As `Sender.attempt`; what went wrong meanwhile is told."""
    try:
        return outlet.sender.attempt(deadline)
    except Exception:  # noqa: BLE001 - a mistake of ours: what is in hand stays there and is tried again
        _log.exception("sending failed")
        return Attempt(MISTAKE_SECONDS)
    finally:
        outlet.report()
