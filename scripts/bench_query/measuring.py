"""Asks each question a number of times as the query function does, and keeps how long which part of it took.

Straight at the engine is the time inside `EventStore.ask`, the call over HTTP included, summed over the statements of
one answer; what is left of the answer's time is the function's own.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from event_analytics.access import KeyRing, mint_key, record_of
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.held_hours import HeldByWindow
from event_analytics.http_exchange import Request
from event_analytics.observability import InvocationLine
from event_analytics.ports import ASK_SECONDS_MAX, EventStore, Reading
from event_analytics.questions.asking import read_asked
from event_analytics.questions.catalog import BY_NAME
from functions.query import app
from scripts.bench_query.asked import Timed

_WARM_UP_RUNS: Final = 2
_MS: Final = 1_000


class Run(NamedTuple):
    """One answer. `engine_ms`: inside `ask`. `own_ms`: by the engine's own clock. `total_ms`: of the function."""

    engine_ms: float
    own_ms: float
    total_ms: float
    statements: int
    rows_read: int
    bytes_read: int


class TimedStore:
    """An `EventStore` for questions, with a watch. `readings`: what it was asked, each with its milliseconds."""

    def __init__(self, store: EventStore) -> None:
        self.readings: list[tuple[float, Reading]] = []
        self.insert_rows, self.execute, self.select = store.insert_rows, store.execute, store.select
        self._store = store

    def ask(self, sql: str, parameters: Mapping[str, Any], seconds_max: float = ASK_SECONDS_MAX) -> Reading:
        """As `EventStore.ask`."""
        began = time.perf_counter()
        reading = self._store.ask(sql, parameters, seconds_max)
        self.readings.append(((time.perf_counter() - began) * _MS, reading))
        return reading


class OneKey:
    """A `KeySource` of a single key that may read."""

    def __init__(self) -> None:
        self.key = mint_key("bench", bytes(32))
        self._secret = msgspec.json.encode(KeyRing("bench", (record_of(self.key, "bench", ("read",)),))).decode()

    def read(self) -> str:
        """As `KeySource.read`."""
        return self._secret

    def reread(self) -> str:
        """As `KeySource.reread`."""
        return self._secret


class Bench:
    """Asks one store."""

    def __init__(self, store: EventStore) -> None:
        self._store = TimedStore(store)
        self._keys = OneKey()
        self._held = HeldByWindow(time.monotonic)

    def time(self, timed: Timed, runs: int) -> list[Run]:
        """One entry per run, after some that are not counted."""
        return [self._run(timed, run) for run in range(runs + _WARM_UP_RUNS)][_WARM_UP_RUNS:]

    def _run(self, timed: Timed, run: int) -> Run:
        self._store.readings.clear()
        request = timed.request(run)
        request = request._replace(headers={**request.headers, "authorization": f"Bearer {self._keys.key}"})
        began = time.perf_counter()
        if timed.compile is None:
            self._answer(timed, request, timed.now(run))
        else:
            query = timed.compile(read_asked(BY_NAME[timed.question], request, timed.now(run)))
            self._store.ask(query.sql, query.parameters)
        total_ms = (time.perf_counter() - began) * _MS
        readings = self._store.readings
        return Run(
            engine_ms=sum(ms for ms, _ in readings),
            own_ms=sum(reading.elapsed_ms for _, reading in readings),
            total_ms=total_ms,
            statements=len(readings),
            rows_read=sum(reading.rows_read for _, reading in readings),
            bytes_read=sum(reading.bytes_read for _, reading in readings),
        )

    def _answer(self, timed: Timed, request: Request, now: datetime) -> None:
        deps = app.Deps(self._store, S3ObjectStore("none"), self._keys, lambda: now, held=self._held)
        app.handle_question(BY_NAME[timed.question], request, deps, InvocationLine())
