"""Sends many lines over parallel connections, each key's in order: a lane per connection, a key always on one lane."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tallystream.cli.lines import Numbered
from tallystream.compression import Compression
from tallystream.encoding import id_of_line
from tallystream.errors import EventsRejected, FailedEvent, RequestFailed, TallystreamError, Unavailable
from tallystream.ledger import Ledger, Stats
from tallystream.limits import Limits
from tallystream.memory_queue import Taken
from tallystream.sender import Calls, Sender

LANES: Final = 4  # keeps an API of a few cores busy while answers travel
BATCH_EVENTS: Final = 500  # larger ones gain little speed and lose more per retry
WAITING_BATCHES: Final = 4  # per lane: keeps memory flat however long the file is
GIVE_UP_SECONDS: Final = 120.0  # without one event settled: a restart of any part takes less
POLL_SECONDS: Final = 0.2  # how soon a stopped run is noticed
THREAD_NAME: Final = "tallystream lane"

OnFailed = Callable[[int, FailedEvent], None]


class Numbers(NamedTuple):
    """What became of the lines so far. `watermark`: every line up to this number is settled."""

    acknowledged: int
    rejected: int
    watermark: int


class _LaneSource:
    """A bounded queue of one lane. Positions are line numbers here."""

    def __init__(self, batch_events: int, batch_bytes: int) -> None:
        self._batch_events, self._batch_bytes = batch_events, batch_bytes
        self._waiting: deque[Numbered] = deque()
        self._changed = threading.Condition()
        self.numbers: dict[str, int] = {}
        self.fed = 0
        self.is_ended = False

    def put(self, line: Numbered, timeout: float) -> bool:
        """Whether there was room in time."""
        with self._changed:
            room = self._batch_events * WAITING_BATCHES
            if not self._changed.wait_for(lambda: len(self._waiting) < room, timeout):
                return False
            self._waiting.append(line)
            self.fed = line.number
            if len(self._waiting) >= self._batch_events:
                self._changed.notify_all()
            return True

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self.is_ended = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Returns when a batch is complete or no more will come, or after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_ended or len(self._waiting) >= self._batch_events, timeout)

    def take(self) -> Taken | None:
        """See `sender.Supply`."""
        with self._changed:
            lines: list[Numbered] = []
            size = 0
            while self._waiting and len(lines) < self._batch_events:
                size += len(self._waiting[0].line) + 1
                if lines and size > self._batch_bytes:
                    break
                lines.append(self._waiting.popleft())
            self._changed.notify_all()
        self.numbers = {id_of_line(line.line): line.number for line in lines}
        return Taken([line.line for line in lines], lines[-1].number) if lines else None

    def done(self) -> None:
        """See `sender.Supply`."""
        self.numbers = {}


class Lane:
    """One connection's share. Its thread runs `run`."""

    def __init__(self, calls: Calls, limits: Limits, on_failed: OnFailed, stop: threading.Event) -> None:
        self._on_failed = on_failed
        self._stop = stop
        self.source = _LaneSource(limits.batch_events, limits.batch_bytes)
        self.ledger = Ledger(self._hear)
        compression = Compression(lambda: calls.call("GET", "/health"), wanted=None)
        self._sender = Sender(self.source, calls, compression, self.ledger, limits)
        self._last_error: TallystreamError | None = None

    @property
    def watermark(self) -> int | None:
        """The last line of this lane that is settled with all before it; None if all are."""
        settled = self._sender.settled_position
        return None if settled >= self.source.fed else settled

    def run(self) -> None:
        """Returns when every line is settled, or the run has stopped.

        Raises:
            TallystreamError: the key or the address is refused, or nothing was settled for GIVE_UP_SECONDS.
        """
        progressed_at, settled = time.monotonic(), -1
        while not self._stop.is_set():
            if not self._sender.in_hand:
                self.source.wait(POLL_SECONDS)
            attempt = self._sender.attempt()
            if attempt is None:
                if self.source.is_ended:
                    return
                progressed_at = time.monotonic()
                continue
            stats = self.ledger.stats
            if stats.acknowledged + stats.rejected != settled:
                progressed_at, settled = time.monotonic(), stats.acknowledged + stats.rejected
            is_late = time.monotonic() - progressed_at > GIVE_UP_SECONDS
            if attempt.is_standstill or is_late:
                raise self._why_stopped()
            self._stop.wait(attempt.pause_seconds)

    def _why_stopped(self) -> TallystreamError:
        if isinstance(self._last_error, RequestFailed):
            return self._last_error
        message = f"for {GIVE_UP_SECONDS:.0f} s the API took no event and refused none"
        return Unavailable(message, reason="nothing_settled")

    def _hear(self, error: TallystreamError) -> None:
        self._last_error = error
        if isinstance(error, EventsRejected):
            for failed in error.events:
                self._on_failed(self.source.numbers.get(failed.event_id, 0), failed)


class BulkSender:
    """One run. `on_failed` gets the line number and what the API said; it is called by one thread at a time."""

    def __init__(self, connect: Callable[[], Calls], limits: Limits, on_failed: OnFailed, lanes: int = LANES) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._problems: list[TallystreamError] = []
        self._tell = on_failed
        self._lanes = [Lane(connect(), limits, self._on_failed, self._stop) for _ in range(lanes)]

    def send(self, lines: Iterable[Numbered]) -> Numbers:
        """Sends all; returns when each is settled.

        Raises:
            TallystreamError: the run stopped; `numbers` says how far it came.
        """
        threads = [
            threading.Thread(target=self._drive, args=(lane,), name=THREAD_NAME, daemon=True) for lane in self._lanes
        ]
        for thread in threads:
            thread.start()
        try:
            self._feed(lines)
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
        if self._problems:
            raise self._problems[0]
        return self.numbers()

    def numbers(self) -> Numbers:
        """How far the run is."""
        totals = self.stats()
        unsettled = [mark for lane in self._lanes if (mark := lane.watermark) is not None]
        watermark = min(unsettled) if unsettled else max(lane.source.fed for lane in self._lanes)
        return Numbers(totals.acknowledged, totals.rejected, watermark)

    def stats(self) -> Stats:
        """Counts of all lanes together."""
        every = [lane.ledger.stats for lane in self._lanes]
        return Stats(
            acknowledged=sum(stats.acknowledged for stats in every),
            rejected=sum(stats.rejected for stats in every),
            requests=sum(stats.requests for stats in every),
            failed_requests=sum(stats.failed_requests for stats in every),
        )

    def _feed(self, lines: Iterable[Numbered]) -> None:
        for line in lines:
            lane = self._lanes[zlib.crc32(line.key.encode("utf-8", "surrogatepass")) % len(self._lanes)]
            while not lane.source.put(line, POLL_SECONDS):
                if self._stop.is_set():
                    return
        for lane in self._lanes:
            lane.source.end()

    def _drive(self, lane: Lane) -> None:
        try:
            lane.run()
        except TallystreamError as problem:
            self._problems.append(problem)
            self._stop.set()
        except Exception as problem:  # noqa: BLE001 - a mistake of ours ends the run, in the calling thread
            self._problems.append(Unavailable(repr(problem), reason="client_failed"))
            self._stop.set()

    def _on_failed(self, number: int, failed: FailedEvent) -> None:
        with self._lock:
            self._tell(number, failed)
