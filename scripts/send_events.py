"""Events -> `POST /events`, in batches on parallel lanes, each user's in order: the demo's sender.

It tells what became of each event, which the demo's own count is made of, and shares no code with the client that
others use. A file is sent by `tallystream send`.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

from event_analytics.decode import BODY_BYTES_MAX
from scripts.batch_answers import REJECTED, Outcome
from scripts.batch_lane import Lane, RetryTimes
from scripts.http_calls import HttpCaller
from scripts.outgoing import Outgoing

BATCH_EVENTS: Final = 500  # the knee: larger batches gain little speed and lose more time per retry
BATCH_BYTES_MAX: Final = BODY_BYTES_MAX
CONNECTIONS: Final = 4  # twice the cores of a small machine keeps the endpoint busy while answers travel
WAITING_BATCHES_MAX: Final = 4  # per lane: keeps memory flat however long the input is
REQUEST_TIMEOUT_SECONDS: Final = 35.0  # the gateway answers within 29
LANE_THREAD: Final = "send lane"
POLL_SECONDS: Final = 0.2  # how soon a full or empty queue notices that the run has stopped
LEAVE_SECONDS: Final = 2.0  # what Ctrl-C waits for requests under way; the threads are daemons


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a run. `request_seconds` holds every answered request, retries included.

    Until `first_answer_seconds` a function that was idle starts; `events_per_second` counts that time in.
    """

    accepted: int
    spooled: int
    rejected: Counter[str]
    retries: int
    seconds: float
    first_answer_seconds: float
    request_seconds: list[float]

    @property
    def taken(self) -> int:
        """Events that the API acknowledged, spooled ones included."""
        return self.accepted + self.spooled

    @property
    def events_per_second(self) -> float:
        """Acknowledged events per second of the run."""
        return self.taken / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Sender:
    """One run of sending. `on_settled` is called with settled events, by one thread at a time."""

    api_url: str
    write_key: str
    on_settled: Callable[[list[Outcome]], None] = lambda _outcomes: None
    times: RetryTimes = field(default_factory=RetryTimes)
    connections: int = CONNECTIONS
    batch_events: int = BATCH_EVENTS
    _stop: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _first_answer_at: float = 0.0
    _problems: list[Exception] = field(default_factory=list)

    def send(self, events: Iterable[Outgoing]) -> SendResult:
        """Sends all and returns when each event is settled.

        Raises:
            KeyRefused, EndpointWrong, GaveUp: the run stopped; what was settled before has been reported.
        """
        started = monotonic()
        lanes = [self._open_lane() for _ in range(self.connections)]
        queues: list[Queue[list[Outgoing] | None]] = [Queue(WAITING_BATCHES_MAX) for _ in lanes]
        pairs = zip(lanes, queues, strict=True)
        threads = [Thread(target=self._drive, args=pair, name=LANE_THREAD, daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
        try:
            self._feed(events, queues)
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(LEAVE_SECONDS)
        if self._problems:
            raise self._problems[0]
        return self._sum_up(lanes, started)

    def _open_lane(self) -> Lane:
        caller = HttpCaller(self.api_url, bearer=self.write_key, timeout_seconds=REQUEST_TIMEOUT_SECONDS)
        return Lane(caller, self._stop, self._settle, self.times)

    def _feed(self, events: Iterable[Outgoing], queues: list[Queue[list[Outgoing] | None]]) -> None:
        batches: list[list[Outgoing]] = [[] for _ in queues]
        sizes = [0] * len(queues)
        for event in events:
            lane = zlib.crc32(event.ordering_key.encode("utf-8", "surrogatepass")) % len(queues)
            size = len(event.line) + 1
            is_full = len(batches[lane]) >= self.batch_events or sizes[lane] + size > BATCH_BYTES_MAX
            if batches[lane] and is_full:
                self._put(queues[lane], batches[lane])
                batches[lane], sizes[lane] = [], 0
            batches[lane].append(event)
            sizes[lane] += size
            if self._stop.is_set():
                return
        for queue, batch in zip(queues, batches, strict=True):
            if batch:
                self._put(queue, batch)
            self._put(queue, None)

    def _put(self, queue: Queue[list[Outgoing] | None], batch: list[Outgoing] | None) -> None:
        while not self._stop.is_set():
            try:
                queue.put(batch, timeout=POLL_SECONDS)
            except Full:
                continue
            return

    def _drive(self, lane: Lane, queue: Queue[list[Outgoing] | None]) -> None:
        try:
            while not self._stop.is_set():
                try:
                    batch = queue.get(timeout=POLL_SECONDS)
                except Empty:
                    continue
                if batch is None:
                    return
                lane.send(batch)
        except Exception as problem:  # noqa: BLE001 - handed to the calling thread, which raises it
            self._problems.append(problem)
            self._stop.set()
        finally:
            lane.caller.close()

    def _settle(self, outcomes: list[Outcome]) -> None:
        with self._lock:
            self._first_answer_at = self._first_answer_at or monotonic()
            self._outcomes.update((outcome.status, outcome.reason) for outcome in outcomes)
            self.on_settled(outcomes)

    def _sum_up(self, lanes: list[Lane], started: float) -> SendResult:
        counts = self._outcomes.items()
        rejected = Counter({reason: n for (status, reason), n in counts if status == REJECTED})
        return SendResult(
            accepted=self._outcomes["accepted", ""],
            spooled=self._outcomes["spooled", ""],
            rejected=rejected,
            retries=sum(lane.retries for lane in lanes),
            seconds=monotonic() - started,
            first_answer_seconds=max(self._first_answer_at - started, 0.0),
            request_seconds=[second for lane in lanes for second in lane.request_seconds],
        )


def percentile(values: list[float], share: float) -> float:
    """The value at the nearest rank, `share` within 0..1; 0.0 for no values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def describe_result(result: SendResult) -> str:
    """One line for a person: counts, speed, request times."""
    refused = ", ".join(f"{reason} {n:,}" for reason, n in sorted(result.rejected.items())) or "none"
    p50, p99 = (percentile(result.request_seconds, share) * 1_000 for share in (0.5, 0.99))
    return (
        f"{result.taken:,} accepted ({result.spooled:,} of them spooled), rejected: {refused}; "
        f"{result.events_per_second:,.0f} events/s in {result.seconds:.1f} s, "
        f"{result.first_answer_seconds:.1f} s of it until the first answer; "
        f"request p50 {p50:.0f} ms, p99 {p99:.0f} ms; {result.retries} retries"
    )
