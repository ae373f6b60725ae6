"""One measurement of one SDK, in this process: `python measure.py NAME WHAT URL SPOOL`. Prints one line of JSON."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from subjects import BASELINE, MAKERS, MODULES, Subject

PACED_PER_SECOND: Final = 10_000
PACED_SECONDS: Final = 3
BURST_EVENTS: Final = 30_000
FULL_QUEUE_EVENTS: Final = 10_000
WARM_EVENTS: Final = 200
NOWHERE: Final = "http://127.0.0.1:9"  # the discard port: nobody listens


def main(name: str, what: str, url: str, spool: str) -> None:
    """Measures and prints."""
    logging.disable(logging.CRITICAL)
    place = Path(spool) if "disk" in name else None
    measures = {"import": measure_import, "paced": measure_paced, "burst": measure_burst, "memory": measure_memory}
    print(json.dumps(measures[what](name, url, place)), flush=True)
    os._exit(0)  # what an SDK does at its end is not measured


def measure_import(name: str, _url: str, _spool: Path | None) -> dict[str, Any]:
    """Milliseconds of the first import."""
    started = time.perf_counter()
    importlib.import_module(MODULES[name])
    return {"import_ms": (time.perf_counter() - started) * 1_000}


def measure_paced(name: str, url: str, spool: Path | None) -> dict[str, Any]:
    """Microseconds of a call at 10,000 a second, evenly spaced, while they are being sent, and how many arrived."""
    subject: Subject = MAKERS[name](url, 1_000_000, spool)
    _warm(subject)
    before, took = _count(url), []
    clock, track = time.perf_counter_ns, subject.track
    slot_ns, started = 1_000_000_000 // PACED_PER_SECOND, clock()
    for number in range(PACED_PER_SECOND * PACED_SECONDS):
        while clock() < started + number * slot_ns:
            pass  # the program works between its calls
        begin = clock()
        track(number)
        took.append(clock() - begin)
    seconds = (clock() - started) / 1e9
    subject.flush()
    took.sort()
    shares = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
    return {
        **{label: took[int(len(took) * share)] / 1_000 for label, share in shares.items()},
        "calls_per_second": len(took) / seconds,
        "arrived": len(took) if name == BASELINE else _count(url) - before,
        "calls": len(took),
    }


def measure_burst(name: str, url: str, spool: Path | None) -> dict[str, Any]:
    """Events a second of one client, from the first call until the sink has the last event, and their CPU time."""
    subject: Subject = MAKERS[name](url, 1_000_000, spool)
    _warm(subject)
    before, started, cpu = _count(url), time.perf_counter(), time.process_time()
    for number in range(BURST_EVENTS):
        subject.track(number)
    subject.flush()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "events_per_second": BURST_EVENTS / seconds,
        "cpu_us": cpu / BURST_EVENTS * 1e6,
        "arrived": _count(url) - before,
        "calls": BURST_EVENTS,
    }


def measure_memory(name: str, _url: str, spool: Path | None) -> dict[str, Any]:
    """MB that 10,000 events take while nobody answers."""
    subject: Subject = MAKERS[name](NOWHERE, FULL_QUEUE_EVENTS, spool)
    subject.track(0)
    time.sleep(0.5)  # what is imported at the first event is not the queue
    gc.collect()
    before = _resident_bytes()
    for number in range(FULL_QUEUE_EVENTS - 1):
        subject.track(number)
    time.sleep(0.5)
    gc.collect()
    return {"full_queue_mb": (_resident_bytes() - before) / 1e6}


def _warm(subject: Subject) -> None:
    for number in range(WARM_EVENTS):
        subject.track(number)
    subject.flush()


def _count(url: str) -> int:
    with urlopen(f"{url}/count") as answer:  # noqa: S310 - the sink of this run
        return int(answer.read())


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(*sys.argv[1:])
