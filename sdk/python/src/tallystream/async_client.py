"""`AsyncClient`: the same for asyncio. Tracking never waits, so it is no coroutine; flushing, closing and reads are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import UUID

from tallystream import reading, results
from tallystream.asking import Asker, page_question, read_page
from tallystream.client import Client
from tallystream.ledger import OnError, Stats
from tallystream.limits import DEFAULT_LIMITS, Limits, Overflow
from tallystream.questions import Include, Question
from tallystream.tracking import Tracking
from tallystream.writing import EventWriter

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self, Unpack

    from tallystream.questions import Filters, KeyFilters

Result = TypeVar("Result")
Row = TypeVar("Row")


class AsyncRows(Generic[Row]):
    """The rows of a read, page after page, asked for as they are needed. Iterating again asks again."""

    def __init__(self, asker: Asker, question: Question[Row]) -> None:
        self._asker = asker
        self._question = question

    async def __aiter__(self) -> AsyncIterator[Row]:
        async for page in self.pages():
            for row in page:
                yield row

    async def pages(self) -> AsyncIterator[list[Row]]:
        """The rows by page; the last page may be empty."""
        cursor: str | None = None
        while True:
            document = await asyncio.to_thread(self._asker.ask, page_question(self._question, cursor))
            rows, cursor = read_page(self._question, document)
            yield rows
            if cursor is None:
                return


class AsyncClient(Tracking):
    """As `Client`, whose arguments it takes but for `sync`. Reads and flushes wait in threads of asyncio's pool."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        on_error: OnError | None = None,
        dry_run: bool = False,
        spool: str | Path | bool | None = None,
        overflow: Overflow = "drop_newest",
        gzip: bool | None = None,
        limits: Limits = DEFAULT_LIMITS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._client = Client(
            url,
            key,
            on_error=on_error,
            dry_run=dry_run,
            spool=spool,
            overflow=overflow,
            gzip=gzip,
            limits=limits,
            ssl_context=ssl_context,
        )
        self._asker = Asker(self._client._connect)

    @property
    def _writer(self) -> EventWriter:  # type: ignore[override]
        return self._client._writer

    async def flush(self, timeout: float = 10.0) -> bool:
        """See `Client.flush`."""
        return await asyncio.to_thread(self._client.flush, timeout)

    async def close(self, timeout: float | None = None) -> bool:
        """See `Client.close`."""
        return await asyncio.to_thread(self._client.close, timeout)

    def stats(self) -> Stats:
        """See `Client.stats`."""
        return self._client.stats()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def top_users(self, *, limit: int = 100, **filters: Unpack[Filters]) -> results.TopUsers:
        """See `Client.top_users`."""
        return await self._ask(reading.top_users(limit, filters))

    async def latency(
        self, *, by: reading.LatencyBy = "event_name", limit: int = 100, **filters: Unpack[Filters]
    ) -> results.LatencyReport:
        """See `Client.latency`."""
        return await self._ask(reading.latency(by, limit, filters))

    async def errors(
        self, *, by: reading.ErrorsBy = "event_name", limit: int = 100, **filters: Unpack[Filters]
    ) -> results.ErrorReport:
        """See `Client.errors`."""
        return await self._ask(reading.errors(by, limit, filters))

    async def top_conversations(
        self,
        *,
        by: reading.ConversationsBy = "error_rate",
        min_events: int = 1,
        limit: int = 100,
        **filters: Unpack[Filters],
    ) -> results.TopConversations:
        """See `Client.top_conversations`."""
        return await self._ask(reading.top_conversations(by, min_events, limit, filters))

    async def volume(self, *, interval: reading.Interval = "auto", **filters: Unpack[Filters]) -> results.Volume:
        """See `Client.volume`."""
        return await self._ask(reading.volume(interval, filters))

    def events(
        self,
        *,
        order: reading.Order = "desc",
        include: Iterable[Include] = (),
        page_size: int = 100,
        **filters: Unpack[Filters],
    ) -> AsyncRows[results.Event]:
        """See `Client.events`; for `async for`."""
        return AsyncRows(self._asker, reading.events(order, include, page_size, filters))

    def conversation(
        self, conversation_id: str, *, include: Iterable[Include] = (), page_size: int = 100
    ) -> AsyncRows[results.Event]:
        """See `Client.conversation`; for `async for`."""
        return AsyncRows(self._asker, reading.conversation(conversation_id, include, page_size))

    async def event(self, event_id: str | UUID, *, wait_seconds: float = 0.0) -> results.Event:
        """See `Client.event`."""
        return await self._ask(reading.event(event_id, wait_seconds))

    async def similar(
        self,
        embedding: Iterable[float] | str | None = None,
        *,
        event_id: str | UUID | None = None,
        of: reading.Embedded = "input",
        limit: int = 10,
        **filters: Unpack[KeyFilters],
    ) -> results.SimilarEvents:
        """See `Client.similar`."""
        return await self._ask(reading.similar(embedding, event_id, of, limit, filters))

    async def health(self) -> results.Health:
        """See `Client.health`."""
        return await self._ask(reading.health())

    async def pipeline(self) -> results.Pipeline:
        """See `Client.pipeline`."""
        return await self._ask(reading.pipeline())

    async def _ask(self, question: Question[Result]) -> Result:
        return await asyncio.to_thread(self._asker.ask, question)
