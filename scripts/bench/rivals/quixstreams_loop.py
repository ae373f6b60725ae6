"""Quix Streams with a sink for the table: a checkpoint every 10,000 records inserts and commits.

Job and answer as of `plain_loop`. The application polls record by record, as it always does.
"""

import logging
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

from loop import INSERT_ROWS, INSERT_SECONDS, SESSION_MS, LoopClock, Table, start_at
from quixstreams import Application
from quixstreams.internal_consumer.consumer import InternalConsumer
from quixstreams.sinks.base.sink import BaseSink
from turns import serve


class TableSink(BaseSink):
    """Collects what comes in, of all partitions, and inserts it at each checkpoint."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table
        self._batch: list[dict[str, Any]] = []

    def add(self, value: Any, *_: Any, **__: Any) -> None:
        """One record, decoded."""
        self._batch.append(value)

    def flush(self) -> None:
        """The checkpoint."""
        if self._batch:
            self._table.insert(self._batch)
            self._batch = []


def consume(job: dict[str, Any]) -> dict[str, Any]:
    """Returns once all records of the job are rows. Quix makes a folder of state, in the working folder if not told."""
    with TemporaryDirectory() as state_dir:
        return _consume(job, state_dir)


def _consume(job: dict[str, Any], state_dir: str) -> dict[str, Any]:
    start_at(job)
    table, clock = Table(job["clickhouse"]), LoopClock()
    application = Application(
        broker_address=job["bootstrap"],
        consumer_group=job["group"],
        auto_offset_reset="earliest",
        commit_interval=INSERT_SECONDS,
        commit_every=INSERT_ROWS,
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=state_dir,
        consumer_extra_config={"session.timeout.ms": SESSION_MS},
        loglevel=logging.WARNING,
    )
    frame = application.dataframe(application.topic(job["topic"], value_deserializer="json"))
    frame.sink(TableSink(table))
    unwrapped = InternalConsumer._poll_unbuffered

    def poll(self: Any, *arguments: Any, **named: Any) -> Any:
        began = time.monotonic()
        message = unwrapped(self, *arguments, **named)
        clock.note_poll(began, has_records=message is not None)
        return message

    InternalConsumer._poll_unbuffered = poll  # type: ignore[method-assign]  # the time it waits is no part of the step
    try:
        application.run(count=job["records"])
    finally:
        InternalConsumer._poll_unbuffered = unwrapped  # type: ignore[method-assign]
    return clock.describe(table.rows)


if __name__ == "__main__":
    sys.exit(serve(consume))
