"""Two daemon threads that run the outlet, started at the first event.

caller's thread     encodes, puts into the queue, returns
saver               queue -> spool, every 50 ms; absent without a spool
sender              spool (or queue) -> API, one request at a time, oldest first
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from tallystream.backoff import STANDSTILL_SECONDS
from tallystream.delivery import DirectDelivery, OpenOutlet, try_opening, try_sending
from tallystream.ledger import Ledger
from tallystream.limits import Limits
from tallystream.memory_queue import MemoryQueue
from tallystream.sender import Attempt

if TYPE_CHECKING:
    from tallystream.outlet import Outlet

THREAD_NAME: Final = "tallystream"
SAVE_AGAIN_SECONDS: Final = 1.0  # a disk that refused is tried again this often
LEAVE_SECONDS: Final = 0.5  # what closing waits for a thread beyond its timeout; the threads are daemons

_log = logging.getLogger("tallystream")


class BackgroundDelivery:
    """In daemon threads: a sender and, if it `saves`, a saver."""

    def __init__(
        self, queue: MemoryQueue, limits: Limits, open_outlet: OpenOutlet, ledger: Ledger, *, saves: bool
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._open_outlet = open_outlet
        self._ledger = ledger
        self._saves = saves
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._saver_wake = threading.Event()
        self._sender_wake = threading.Event()
        self._is_open = threading.Event()
        self._progress = threading.Condition()
        self._wanted_position = 0
        self._flushes = 0
        self._standstills = 0
        self._is_failing = False
        self._is_stopped = False
        self.outlet: Outlet | None = None

    def rouse(self) -> None:
        """See `Delivery`."""
        if not self._threads:
            self._start()
        self._saver_wake.set()
        if self.outlet is None or self.outlet.spool is None:
            self._sender_wake.set()

    def flush(self, timeout_seconds: float) -> bool:
        """See `Delivery`."""
        if threading.current_thread() in self._threads:
            return False  # called by `on_error`: it would wait for itself
        target = self._queue.position
        self.rouse()
        if not self._threads:
            return False  # the interpreter is shutting down
        with self._progress:
            before = self._standstills
            self._wanted_position = max(self._wanted_position, target)
            self._flushes += 1
            self._wake_all()
            self._progress.wait_for(
                lambda: self._is_settled(target) or self._standstills > before or self._is_stopped, timeout_seconds
            )
            return self._is_settled(target)

    def close(self, timeout_seconds: float, *, is_exit: bool = False) -> bool:
        """See `Delivery`."""
        if not self._queue.position and self.outlet is None:
            return True
        is_safe = is_exit and self._is_failing and self.outlet is not None and self.outlet.spool is not None
        is_settled = self.flush(0 if is_safe else timeout_seconds)
        self._queue.close()
        self._stop()
        if self.outlet is None:  # no thread could be started, as the process is ending; or it cannot be opened
            return DirectDelivery(self._queue, self._open_outlet, self._ledger).close(timeout_seconds)
        self.outlet.close()
        return is_settled

    def _stop(self) -> None:
        self._is_stopped = True
        self._wake_all()
        with self._progress:
            self._progress.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():  # closed by `on_error`
                thread.join(LEAVE_SECONDS)

    def _start(self) -> None:
        """Starts all threads now: an interpreter that shuts down starts no more (Python 3.12)."""
        with self._lock:
            if self._threads:
                return
            runs = (self._run_saver, self._run_sender) if self._saves else (self._run_sender,)
            threads = [threading.Thread(target=run, name=THREAD_NAME, daemon=True) for run in runs]
            try:
                for thread in threads:
                    thread.start()
            except RuntimeError:  # it is shutting down already; `close` sends what is left
                return
            self._threads = threads

    def _is_settled(self, position: int) -> bool:
        return self.outlet is not None and self.outlet.has_settled(position)

    def _wake_all(self) -> None:
        self._saver_wake.set()
        self._sender_wake.set()

    def _run_sender(self) -> None:
        try:
            outlet = self.outlet = self._open()
        finally:
            self._is_open.set()
        while outlet is not None and not self._is_stopped:
            wait_seconds = self._seconds_until_due(outlet)
            if wait_seconds is None or wait_seconds > 0:
                self._sender_wake.wait(wait_seconds)
                self._sender_wake.clear()
                continue
            attempt = try_sending(outlet)
            if len(self._queue):
                self._saver_wake.set()  # what the disk refused may be in hand now: there is room for the next
            if attempt is not None:
                self._take_note(attempt)
                self._rest(attempt)

    def _open(self) -> Outlet | None:
        """None if it could not be opened before it was closed: a person has to mend what is in the way."""
        while not self._is_stopped:
            outlet = try_opening(self._open_outlet, self._ledger)
            if outlet is not None:
                return outlet
            attempt = Attempt(STANDSTILL_SECONDS, is_standstill=True)
            self._take_note(attempt)
            self._rest(attempt)
        return None

    def _run_saver(self) -> None:
        self._is_open.wait()
        outlet = self.outlet
        if outlet is None or outlet.spool is None:  # there is no disk to be had
            return
        while not self._is_stopped:
            is_behind = outlet.spool.has_unsaved
            self._saver_wake.wait(SAVE_AGAIN_SECONDS if is_behind or len(self._queue) else None)
            self._saver_wake.clear()
            if not self._is_hurried(outlet) and not self._is_stopped:
                self._saver_wake.wait(self._limits.save_interval_ms / 1_000)
            try:
                outlet.save()
            except Exception:  # noqa: BLE001 - a mistake of ours: what is not saved is tried again, or sent from memory
                _log.exception("saving failed")
            self._sender_wake.set()

    def _seconds_until_due(self, outlet: Outlet) -> float | None:
        """0: now. None: there is nothing to send."""
        events, size = outlet.source.waiting()
        if outlet.sender.in_hand:
            return 0.0
        if not events:
            return None
        is_full = events >= self._limits.batch_events or size >= self._limits.batch_bytes
        is_left_behind = outlet.spool is not None and outlet.spool.has_adopted  # no company is to come
        if is_full or is_left_behind or self._is_hurried(outlet):
            return 0.0
        return max(outlet.source.oldest_at() + self._limits.flush_interval_ms / 1_000 - time.monotonic(), 0.0)

    def _is_hurried(self, outlet: Outlet) -> bool:
        return self._wanted_position > outlet.sender.settled_position

    def _take_note(self, attempt: Attempt) -> None:
        self._is_failing = attempt.pause_seconds > 0
        with self._progress:
            self._standstills += attempt.is_standstill
            self._progress.notify_all()

    def _rest(self, attempt: Attempt) -> None:
        """Waits. A flush asks a refusing API at once; one that fails or asked for time is left in peace."""
        until = time.monotonic() + attempt.pause_seconds
        flushes = self._flushes
        while not self._is_stopped and (left := until - time.monotonic()) > 0:
            self._sender_wake.wait(left)
            self._sender_wake.clear()
            if attempt.is_standstill and self._flushes > flushes:
                return
