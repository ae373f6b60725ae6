"""confluent-kafka, the Python client of librdkafka: produces the records of a file as fast as it can.

Job: {"bootstrap", "topic", "file"}. Answer: {"records", "began", "seconds", "cpu_seconds"} by the monotonic clock.
"""

import sys
import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from record_files import read_records
from turns import serve

QUEUE_RECORDS: Final = 1_000_000
POLL_EVERY: Final = 1_000


def produce(job: dict[str, Any]) -> dict[str, Any]:
    """Returns once all are acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": job["bootstrap"],
            "partitioner": "murmur2",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": QUEUE_RECORDS,
        }
    )
    records = [record for batch in read_records(Path(job["file"])) for record in batch]
    failed: list[str] = []
    topic, send = job["topic"], producer.produce
    producer.list_topics(topic, timeout=10)  # connected before the clock runs
    began, cpu = time.monotonic(), time.process_time()
    for number, (key, value, timestamp_ms) in enumerate(records):
        send(topic, value, key, timestamp=timestamp_ms)
        if number % POLL_EVERY == 0:
            producer.poll(0)
    if left := producer.flush(60):
        failed.append(f"{left} records were not acknowledged")
    ended = time.monotonic()
    return {
        "records": len(records) - len(failed),
        "began": began,
        "seconds": ended - began,
        "cpu_seconds": time.process_time() - cpu,
        "failed": failed,
    }


if __name__ == "__main__":
    sys.exit(serve(produce))
