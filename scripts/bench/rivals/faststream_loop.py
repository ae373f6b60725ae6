"""FastStream on confluent-kafka: a batch subscriber that inserts what it is given.

Job and answer as of `plain_loop`.
"""

import asyncio
import sys
import time
from typing import Any

from faststream.confluent import ConfluentConfig, KafkaBroker
from faststream.confluent.helpers.client import AsyncConfluentConsumer
from loop import INSERT_ROWS, INSERT_SECONDS, SESSION_MS, LoopClock, Table, start_at
from turns import serve


async def consume(job: dict[str, Any]) -> dict[str, Any]:
    """Returns once all records of the job are rows."""
    start_at(job)
    table, clock, is_done = Table(job["clickhouse"]), LoopClock(), asyncio.Event()
    broker = KafkaBroker(job["bootstrap"], config=ConfluentConfig({"session.timeout.ms": SESSION_MS}), logger=None)

    @broker.subscriber(
        job["topic"],
        group_id=job["group"],
        auto_offset_reset="earliest",
        batch=True,
        max_records=INSERT_ROWS,
        polling_interval=INSERT_SECONDS,
    )
    async def load(events: list[dict[str, Any]]) -> None:
        table.insert(events)
        if table.rows >= job["records"]:
            is_done.set()

    unwrapped = AsyncConfluentConsumer.getmany

    async def getmany(self: Any, *arguments: Any, **named: Any) -> Any:
        began = time.monotonic()
        messages = await unwrapped(self, *arguments, **named)
        clock.note_poll(began, has_records=bool(messages))
        return messages

    AsyncConfluentConsumer.getmany = getmany  # type: ignore[method-assign]  # the time it waits is no part of the step
    try:
        await broker.start()
        await is_done.wait()
        described = clock.describe(table.rows)
        await broker.stop()
    finally:
        AsyncConfluentConsumer.getmany = unwrapped  # type: ignore[method-assign]
    return described


if __name__ == "__main__":
    sys.exit(serve(lambda job: asyncio.run(consume(job))))
