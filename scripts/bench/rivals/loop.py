"""What the consumer loops of the rivals share: rows of JSON values, one insert per batch, and the clock.

The table, its columns and the size of an insert are the same for all. Rows go in through clickhouse-connect's `insert`
with a context that is made once, as its documentation advises for many inserts.
"""

import json
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import clickhouse_connect
from confluent_kafka import Consumer, TopicPartition

INSERT_ROWS: Final = 10_000
INSERT_SECONDS: Final = 1.0
SESSION_MS: Final = 6_000
_COLUMNS: Final = (
    "id", "user_id", "conversation_id", "event_name", "timestamp", "error", "latency_ms", "input", "output",
    "properties", "conversation_metadata", "accepted_us",
)  # fmt: skip


class Table:
    """The table of events. `rows`: inserted so far."""

    def __init__(self, url: str) -> None:
        self.rows = 0
        self._client = clickhouse_connect.get_client(dsn=url)
        self._context = self._client.create_insert_context("events", column_names=_COLUMNS)

    def insert(self, events: Sequence[dict[str, Any]]) -> None:
        """Return once they are committed."""
        self._context.data = [row_of(event) for event in events]
        self._client.insert(context=self._context)
        self.rows += len(events)


def row_of(event: dict[str, Any]) -> tuple[Any, ...]:
    """A decoded event as a row, in the order of the columns."""
    get = event.get
    return (
        uuid.UUID(event["id"]),
        get("user_id", ""),
        get("conversation_id", ""),
        event["event_name"],
        datetime.fromisoformat(event["timestamp"]),
        get("error") or "",
        get("latency_ms"),
        get("input"),
        get("output"),
        json.dumps(get("properties", {})),
        json.dumps(get("conversation_metadata", {})),
        event["accepted_us"],
    )


class LoopClock:
    """Times a loop from the first record it gets. What it waits for records is no part of the step."""

    def __init__(self) -> None:
        self._began = self._cpu = self._waited = 0.0

    def note_poll(self, began: float, *, has_records: bool) -> None:
        """A poll that began then has just returned."""
        now = time.monotonic()
        if self._began:
            self._waited += now - began
        elif has_records:
            self._began, self._cpu = now, time.process_time()

    def describe(self, records: int) -> dict[str, Any]:
        """Seconds of the whole loop, and of the step from values in hand to rows committed."""
        seconds = time.monotonic() - self._began
        return {
            "records": records,
            "loop_seconds": seconds,
            "step_seconds": seconds - self._waited,
            "cpu_seconds": time.process_time() - self._cpu,
        }


def start_at(job: dict[str, Any]) -> None:
    """Let the job's group begin where its records begin."""
    consumer = Consumer({"bootstrap.servers": job["bootstrap"], "group.id": job["group"], "enable.auto.commit": False})
    places = [TopicPartition(job["topic"], int(number), offset) for number, offset in job["offsets"].items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
