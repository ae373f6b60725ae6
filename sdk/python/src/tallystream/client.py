"""`Client`: writes that never wait, and reads that answer."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from tallystream import reading, results
from tallystream.arguments import check_key, check_url
from tallystream.asking import Asker, Rows
from tallystream.background_delivery import BackgroundDelivery
from tallystream.delivery import Delivery, DirectDelivery
from tallystream.errors import EventsDropped
from tallystream.exiting import close_at_exit
from tallystream.forking import GATE, leave_alone, remember
from tallystream.ledger import Ledger, OnError, Stats
from tallystream.limits import DEFAULT_LIMITS, OVERFLOWS, Limits, Overflow
from tallystream.memory_queue import MemoryQueue
from tallystream.questions import Include, Question
from tallystream.tracking import Tracking
from tallystream.version import USER_AGENT
from tallystream.writing import EventWriter, read_clock_ms

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self, Unpack

    from tallystream.outlet import Outlet
    from tallystream.questions import Filters, KeyFilters
    from tallystream.transport import Transport

Result = TypeVar("Result")
_log = logging.getLogger("tallystream")


class Client(Tracking):
    """One API with one key. For any number of threads; make one per process and keep it.

    An event is queued in memory, within 50 ms on disk, and acknowledged once Kafka (or S3, while Kafka is down) has it.
    `flush()` waits for that; `with Client(...)`, `close()` and the end of the process do so too, for a bounded time.

    Args:
        url: of the API, as `make up` prints it or as the stack's output says.
        key: with the scope `write` for writes and `read` for reads.
        on_error: hears of everything that goes wrong, from whatever thread it went wrong in. What it raises is logged.
        sync: send in the caller's thread; each call returns with its event settled, inside `batch()` all at its end.
        dry_run: make events, log them at debug level, send nothing.
        spool: a folder for events on disk; False for memory only. Default: TALLYSTREAM_SPOOL_DIR, else
            `~/.local/state/tallystream`, if it can be written; memory only with `sync`.
        overflow: what to do with an event when there is no room. Not `block` with `sync`: nobody would make room.
        gzip: whether requests are packed. Default: as `/health` says.
        limits: sizes and times.
        ssl_context: for certificates of your own.

    Raises:
        ValueError: url, key, overflow or limits cannot be used. Nothing else of writing raises.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        on_error: OnError | None = None,
        sync: bool = False,
        dry_run: bool = False,
        spool: str | Path | bool | None = None,
        overflow: Overflow = "drop_newest",
        gzip: bool | None = None,
        limits: Limits = DEFAULT_LIMITS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if overflow not in OVERFLOWS:
            raise ValueError(f"overflow is one of {', '.join(OVERFLOWS)}")
        if sync and overflow == "block":
            raise ValueError("overflow='block' waits for a thread that makes room, and with sync=True there is none")
        self._url = check_url(url)
        self._key = check_key(key)
        self._ssl_context = ssl_context
        self._limits = limits
        self._is_sync = sync
        self._is_dry = dry_run
        self._overflow: Overflow = overflow
        self._on_error = on_error
        self._spool = Path(spool) if isinstance(spool, (str, Path)) else False if sync and spool is None else spool
        self._gzip = gzip
        self._start()
        remember(self)
        self._forget_exit = close_at_exit(self._close_in_time)

    def flush(self, timeout: float = 10.0) -> bool:
        """Whether everything tracked before the call is settled: acknowledged, or refused for what it says.

        Waits up to `timeout` seconds; not at all once the API refuses the key. What is not settled is sent later.
        """
        return self._is_dry or self._delivery.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """As `flush`, for 5 seconds unless told otherwise; afterwards the client takes nothing more.

        What is not settled stays on disk for the next client of this API. Without a spool it is lost, and told.
        """
        return self._close(self._limits.exit_timeout_seconds if timeout is None else timeout, is_exit=False)

    def stats(self) -> Stats:
        """Counts up to now, as a copy."""
        outlet = self._delivery.outlet
        return dataclasses.replace(
            self._ledger.stats,
            tracked=self._queue.position,
            dropped=self._ledger.stats.dropped + self._queue.dropped,
            queued=len(self._queue) + (0 if outlet is None else outlet.in_memory()),
            spooled=outlet.spool.saved() if outlet is not None and outlet.spool is not None else 0,
        )

    @contextmanager
    def batch(self, timeout: float | None = None) -> Iterator[None]:
        """Sends what is tracked inside together, and waits for it at the end. Also a decorator: for Lambda handlers."""
        batches = self._open_batches  # a fork inside gives the child others
        batches.depth = getattr(batches, "depth", 0) + 1
        try:
            yield
        finally:
            batches.depth -= 1
            self.flush(self._limits.sync_timeout_seconds if timeout is None else timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def top_users(self, *, limit: int = 100, **filters: Unpack[Filters]) -> results.TopUsers:
        """Users by number of events."""
        return self._ask(reading.top_users(limit, filters))

    def latency(
        self, *, by: reading.LatencyBy = "event_name", limit: int = 100, **filters: Unpack[Filters]
    ) -> results.LatencyReport:
        """Exact p50, p95 and p99 by event name, by conversation, or by both."""
        return self._ask(reading.latency(by, limit, filters))

    def errors(
        self, *, by: reading.ErrorsBy = "event_name", limit: int = 100, **filters: Unpack[Filters]
    ) -> results.ErrorReport:
        """Errors by event name, with their rate, or by error."""
        return self._ask(reading.errors(by, limit, filters))

    def top_conversations(
        self,
        *,
        by: reading.ConversationsBy = "error_rate",
        min_events: int = 1,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> results.TopConversations:
        """Sessions by error rate, errors, events or latency."""
        return self._ask(reading.top_conversations(by, min_events, limit, filters))

    def volume(self, *, interval: reading.Interval = "auto", **filters: Unpack[Filters]) -> results.Volume:
        """A time series without gaps."""
        return self._ask(reading.volume(interval, filters))

    def events(
        self,
        *,
        order: reading.Order = "desc",
        include: Iterable[Include] = (),
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> Rows[results.Event]:
        """Events by time, page after page as they are iterated over."""
        return self._rows(reading.events(order, include, page_size, filters))

    def conversation(
        self, conversation_id: str, *, include: Iterable[Include] = (), page_size: int = 100
    ) -> Rows[results.Event]:
        """One session's events in the order of time, page after page as they are iterated over."""
        return self._rows(reading.conversation(conversation_id, include, page_size))

    def event(self, event_id: str | UUID, *, wait_seconds: float = 0.0) -> results.Event:
        """One event with everything it has. `wait_seconds`: up to 5, for an event that was sent just now.

        Raises:
            NotFound, EventDeleted: beside what every read raises.
        """
        return self._ask(reading.event(event_id, wait_seconds))

    def similar(
        self,
        embedding: Iterable[float] | str | None = None,
        *,
        event_id: str | UUID | None = None,
        of: reading.Embedded = "input",
        limit: int = 10,
        **filters: Unpack[KeyFilters],
    ) -> results.SimilarEvents:
        """Events whose embedding is close to one, or to that of an event."""
        return self._ask(reading.similar(embedding, event_id, of, limit, filters))

    def health(self) -> results.Health:
        """Whether the API answers questions. Needs no scope."""
        return self._ask(reading.health())

    def pipeline(self) -> results.Pipeline:
        """How far loading is behind."""
        return self._ask(reading.pipeline())

    def _start_anew(self) -> None:
        """After a fork, in the child: an empty queue and no threads. The parent sends what it had queued."""
        leave_alone((self._delivery, self._transport))
        self._start()
        self._forget_exit = close_at_exit(self._close_in_time)

    def _start(self) -> None:
        self._is_closed = False
        self._was_settled = True
        self._transport: Transport | None = None
        self._open_batches = threading.local()
        self._ledger = Ledger(self._on_error)
        self._queue = MemoryQueue(self._limits, self._overflow, lambda: self._delivery.rouse())  # noqa: PLW0108 - made below
        self._delivery: Delivery = (
            DirectDelivery(self._queue, self._open_outlet, self._ledger)
            if self._is_sync
            else BackgroundDelivery(
                self._queue, self._limits, self._open_outlet, self._ledger, saves=self._spool is not False
            )
        )
        put = self._log_only if self._is_dry else self._put_and_send if self._is_sync else self._queue.put
        self._writer = EventWriter(put, self._ledger, read_clock_ms)

    def _put_and_send(self, line: bytes) -> None:
        self._queue.put(line)
        is_alone = not getattr(self._open_batches, "depth", 0)
        if is_alone or len(self._queue) % self._limits.batch_events == 0:
            self._delivery.flush(self._limits.sync_timeout_seconds)

    def _drop_late(self, _line: bytes) -> None:
        self._ledger.add(dropped=1)
        self._ledger.tell(EventsDropped("the client is closed", reason="closed", count=1))

    def _log_only(self, line: bytes) -> None:
        _log.debug("dry run: %s", line.decode())

    def _open_outlet(self) -> Outlet:
        with GATE:
            from tallystream.outlet import Outlet, Plan  # noqa: PLC0415 - imported where waiting is allowed

            plan = Plan(self._url, self._connect, self._spool, self._gzip, self._overflow, self._limits)
            return Outlet(plan, self._queue, self._ledger)

    def _connect(self) -> Transport:
        with GATE:
            from tallystream.transport import Transport  # noqa: PLC0415 - its imports cost more than all others together

            if self._transport is None:
                timeout = self._limits.request_timeout_seconds
                self._transport = Transport(
                    self._url, self._key, USER_AGENT, timeout_seconds=timeout, ssl_context=self._ssl_context
                )
            return self._transport

    def _ask(self, question: Question[Result]) -> Result:
        return Asker(self._connect).ask(question)

    def _rows(self, question: Question[Result]) -> Rows[Result]:
        return Rows(Asker(self._connect).ask, question)

    def _close_in_time(self) -> None:
        self._close(self._limits.exit_timeout_seconds, is_exit=True)

    def _close(self, timeout_seconds: float, *, is_exit: bool) -> bool:
        if self._is_closed:
            return self._was_settled
        self._is_closed, self._was_settled = True, False
        self._forget_exit()
        self._was_settled = self._delivery.close(timeout_seconds, is_exit=is_exit)
        self._writer = EventWriter(self._drop_late, self._ledger, read_clock_ms)
        if self._transport is not None:
            self._transport.close()
        return self._was_settled
