"""One of our functions as a process that takes turns, beside its limit: `python -m scripts.bench.own_stages NAME`.

It runs in the environment that the deployed function has. A job is a line of JSON, its answer too: how long the
handler, or the limit, took for all records of a file (`seconds`), and CPU seconds of this process.
"""

import base64
import gzip
import importlib
import json
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from scripts.bench.rivals.record_files import Prepared, read_records
from scripts.bench.rivals.turns import serve

PARTITIONS: Final = 8
RECORDS_PER_CALL: Final = 8_000  # about what 6 MB hold of the default shape
GZIP_LEVEL: Final = 6  # as the archive's

LambdaEvent = dict[str, Any]
Answer = dict[str, Any]


class Context:
    """What Lambda hands to a handler."""

    aws_request_id = "bench"
    function_name = "bench"


class Laps:
    """Wall and CPU time of what is done between two looks at the clock."""

    def __init__(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()

    def answer(self, records: int, **more: Any) -> Answer:
        """The figures of a job."""
        seconds, cpu_seconds = time.monotonic() - self._began, time.process_time() - self._cpu
        return {"records": records, "seconds": seconds, "cpu_seconds": cpu_seconds, **more}


def run_ingest(job: dict[str, Any]) -> Answer:
    """The ingest function over proxy events, one request after the other, each acknowledged by the broker."""
    handler = importlib.import_module("functions.ingest.app").handler
    requests = [json.loads(line) for line in Path(job["file"]).read_bytes().splitlines()]
    laps = Laps()
    answers = [handler(request, Context()) for request in requests]
    failed = [answer for answer in answers if answer["statusCode"] != 202 or '"spooled"' in answer["body"]]  # noqa: PLR2004
    return laps.answer(job["records"], failed=failed[:1])


def run_load(job: dict[str, Any]) -> Answer:
    """The load function over batches; `unpack_seconds`: of them, what turned Lambda's event into records."""
    app = importlib.import_module("functions.load.app")
    calls, unwrapped, unpacking = _calls_of(job["file"]), app.read_records, [0.0]

    def read_records(event: LambdaEvent) -> Any:
        began = time.monotonic()
        records = unwrapped(event)
        unpacking[0] += time.monotonic() - began
        return records

    app.read_records = read_records  # type: ignore[attr-defined]  # for the time that it takes
    laps = Laps()
    try:
        for call in calls:
            app.handler(call, Context())
    finally:
        app.read_records = unwrapped  # type: ignore[attr-defined]
    return laps.answer(_count(job["file"]), unpack_seconds=unpacking[0])


def run_bare_insert(job: dict[str, Any]) -> Answer:
    """The same bytes into the same table, and nothing else."""
    store = ClickHouseEventStore(job["clickhouse"])
    blocks = [b"\n".join(record.value for record in records) for records in _batches_of(job["file"])]
    store.select("SELECT 1", {})  # connected before the clock runs
    laps = Laps()
    for block in blocks:
        store.insert_rows("events", block, uuid.uuid4().hex)
    return laps.answer(_count(job["file"]))


def run_archive(job: dict[str, Any]) -> Answer:
    """The archive function over batches, with an object in S3 for each partition of each."""
    handler = importlib.import_module("functions.archive.app").handler
    calls = _calls_of(job["file"])
    laps = Laps()
    for call in calls:
        handler(call, Context())
    return laps.answer(_count(job["file"]))


def run_gzip(job: dict[str, Any]) -> Answer:
    """Gzip of the same bytes, cut as the archive cuts them, and nothing else."""
    blocks = [
        b"\n".join(record.value for _, record in group)
        for records in _batches_of(job["file"])
        for group in _by_partition(records)
    ]
    laps = Laps()
    for block in blocks:
        gzip.compress(block, GZIP_LEVEL)
    return laps.answer(_count(job["file"]))


RUNS: Final[dict[str, Callable[[dict[str, Any]], Answer]]] = {
    "ingest": run_ingest,
    "load": run_load,
    "bare-insert": run_bare_insert,
    "archive": run_archive,
    "gzip": run_gzip,
}


def _count(file: str) -> int:
    return sum(map(len, read_records(Path(file))))


def _batches_of(file: str) -> list[list[Prepared]]:
    records = [record for batch in read_records(Path(file)) for record in batch]
    return [records[start : start + RECORDS_PER_CALL] for start in range(0, len(records), RECORDS_PER_CALL)]


def _calls_of(file: str) -> list[LambdaEvent]:
    """Lambda's events, with offsets that no call of this machine had before."""
    first = time.time_ns() // 1_000
    return [_call_of(records, first + number * RECORDS_PER_CALL) for number, records in enumerate(_batches_of(file))]


def _call_of(records: Sequence[Prepared], first_offset: int) -> LambdaEvent:
    listed = {f"events-{group[0][0]}": _listed(group, first_offset) for group in _by_partition(records)}
    return {"eventSource": "SelfManagedKafka", "bootstrapServers": "127.0.0.1:9092", "records": listed}


def _by_partition(records: Sequence[Prepared]) -> list[list[tuple[int, Prepared]]]:
    groups: list[list[tuple[int, Prepared]]] = [[] for _ in range(PARTITIONS)]
    for record in records:
        number = zlib.crc32(record.key) % PARTITIONS
        groups[number].append((number, record))
    return [group for group in groups if group]


def _listed(group: Sequence[tuple[int, Prepared]], first_offset: int) -> list[dict[str, Any]]:
    return [
        {
            "topic": "events",
            "partition": partition,
            "offset": first_offset + place,
            "timestamp": record.timestamp_ms,
            "timestampType": "CREATE_TIME",
            "key": base64.b64encode(record.key).decode(),
            "value": base64.b64encode(record.value).decode(),
            "headers": [],
        }
        for place, (partition, record) in enumerate(group)
    ]


if __name__ == "__main__":
    sys.exit(serve(RUNS[sys.argv[1]]))
