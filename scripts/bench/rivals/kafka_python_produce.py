"""Bare kafka-python: produces the records of a file as its documentation has it, and waits for all at the end.

Job: {"bootstrap", "topic", "file"}. Answer: {"records", "seconds", "cpu_seconds"}.
"""

import sys
import time
from pathlib import Path
from typing import Any

from ingest_models import connect
from record_files import read_records
from turns import serve

state: dict[str, Any] = {}


def produce(job: dict[str, Any]) -> dict[str, Any]:
    """Returns once all are acknowledged."""
    producer = state.setdefault("producer", connect(job["bootstrap"]))
    records = [record for batch in read_records(Path(job["file"])) for record in batch]
    began, cpu = time.monotonic(), time.process_time()
    for key, value, timestamp_ms in records:
        producer.send(job["topic"], value, key, timestamp_ms=timestamp_ms)
    producer.flush()
    return {"records": len(records), "seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}


if __name__ == "__main__":
    sys.exit(serve(produce))
