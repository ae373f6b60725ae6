"""A consumer loop as most people write it: kafka-python, json, clickhouse-connect.

Job: {"bootstrap", "clickhouse", "topic", "group", "offsets", "records"}. Answer: as `LoopClock.describe`.
"""

import json
import sys
import time
from typing import Any

from kafka import KafkaConsumer
from loop import INSERT_ROWS, INSERT_SECONDS, SESSION_MS, LoopClock, Table, start_at
from turns import serve


def consume(job: dict[str, Any]) -> dict[str, Any]:
    """Returns once all records of the job are rows."""
    start_at(job)
    table, clock = Table(job["clickhouse"]), LoopClock()
    consumer = KafkaConsumer(
        job["topic"],
        bootstrap_servers=job["bootstrap"],
        group_id=job["group"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=INSERT_ROWS,
        session_timeout_ms=SESSION_MS,
    )
    batch: list[bytes] = []
    inserted_at = time.monotonic()
    while table.rows < job["records"]:
        began = time.monotonic()
        polled = consumer.poll(timeout_ms=100, max_records=INSERT_ROWS - len(batch))
        clock.note_poll(began, has_records=bool(polled))
        batch += [record.value for records in polled.values() for record in records]
        is_due = len(batch) >= INSERT_ROWS or time.monotonic() > inserted_at + INSERT_SECONDS
        if batch and (is_due or table.rows + len(batch) >= job["records"]):
            table.insert([json.loads(value) for value in batch])
            consumer.commit()
            batch, inserted_at = [], time.monotonic()
    described = clock.describe(table.rows)
    consumer.close()
    return described


if __name__ == "__main__":
    sys.exit(serve(consume))
