"""Reports with a real cache in front: fast when it is there, right when it is not, whoever asks meanwhile."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Condition
from typing import Any

import pytest

from event_analytics.adapters.valkey_answer_cache import ValkeyAnswerCache
from event_analytics.answer_caching import Caching, is_from_cache
from event_analytics.http_exchange import Answer
from event_analytics.observability import InvocationLine
from event_analytics.ports import Reading
from event_analytics.questions.catalog import BY_NAME
from functions.query import app
from tests.builders import a_request
from tests.fakes import FakeEventStore, FakeKeySource, FakeObjectStore
from tests.redis_server import RedisServer

HIT_SECONDS_MAX = 0.010
QUERY_SECONDS = 0.02
PATIENT_SECONDS = 1.0  # of a cache whose hits are counted: on a busy machine a call may well take 10 ms
CROWDED_SECONDS = (
    0.1  # of caches in threads of one process, which wait for each other's turns; functions have their own
)
ASKERS = 8
LIMITS = range(1, 21)
ANSWERS_EACH = 3  # of each limit, before a phase of the load is over
PHASE_SECONDS_MAX = 30.0
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


class EchoingStore(FakeEventStore):
    """Answers top users with the limit that it is asked for, so that a wrong answer shows; counts the asking."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds

    def ask(self, sql: str, parameters: Any, seconds_max: float = 20.0) -> Reading:
        self.asked.append((sql, parameters))
        time.sleep(self.seconds)  # what a query takes
        row = {"user_id": f"u{parameters['limit']}", "events": 1, "events_total": 1, "keys_total": 1}
        return Reading([row], rows_read=1, bytes_read=1, elapsed_ms=1.0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.kill()


def deps_of(store: EchoingStore, cache: ValkeyAnswerCache) -> app.Deps:
    caching = Caching(cache, 600_000, time.monotonic, time.sleep)
    return app.Deps(store=store, objects=FakeObjectStore(), keys=FakeKeySource(), now=lambda: NOW, caching=caching)


def ask_top_user(deps: app.Deps, limit: int) -> Answer:
    request = a_request(key=deps.keys.read_key, query={"limit": str(limit), "window": "1h"})  # type: ignore[attr-defined]
    return app.handle_question(BY_NAME["top-users"], request, deps, InvocationLine())


def user_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["users"][0]["user_id"])


def test_a_hit_is_fast_and_asks_nothing_of_the_store(server: RedisServer) -> None:
    deps = deps_of(store := EchoingStore(), ValkeyAnswerCache(server.url, call_seconds_max=PATIENT_SECONDS))
    ask_top_user(deps, 1)
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        ask_top_user(deps, 1)
        taken.append(time.perf_counter() - started)

    assert len(store.asked) == 1
    assert statistics.median(taken) < HIT_SECONDS_MAX


def test_many_who_ask_at_once_ask_the_store_once(server: RedisServer) -> None:
    store = EchoingStore(seconds=0.2)
    caches = [ValkeyAnswerCache(server.url, call_seconds_max=PATIENT_SECONDS) for _ in range(ASKERS)]
    everybody = [deps_of(store, cache) for cache in caches]  # as many functions, each with its own connection
    with ThreadPoolExecutor(ASKERS) as pool:
        found = list(pool.map(lambda deps: user_of(ask_top_user(deps, 7)), everybody))

    assert found == ["u7"] * ASKERS
    assert len(store.asked) == 1


class Load:
    """Asks the same reports again and again until it is told to stop; each answer counts for the phase it was asked in.

    `outcomes`: how many answers there were by phase, limit and whether the cache had them.
    """

    def __init__(self, everybody: list[app.Deps]) -> None:
        self.outcomes: Counter[tuple[str, int, bool]] = Counter()
        self.wrong: list[tuple[int, str]] = []
        self._phase = "start"
        self._is_stopped = False
        self._answered = Condition()
        self._pool = ThreadPoolExecutor(len(everybody))
        self._askers = [self._pool.submit(self._ask_on, deps) for deps in everybody]

    def _ask_on(self, deps: app.Deps) -> None:
        while not self._is_stopped:
            for limit in LIMITS:
                phase = self._phase
                answer = ask_top_user(deps, limit)
                with self._answered:
                    self.outcomes[phase, limit, is_from_cache(answer)] += 1
                    if user_of(answer) != f"u{limit}":
                        self.wrong.append((limit, user_of(answer)))
                    self._answered.notify_all()

    def wait_for_each(self, phase: str, *, hit: bool) -> None:
        """Return once each report that was asked for from now on was a hit, or a miss, a few times."""

        def is_enough() -> bool:
            return all(self.outcomes[phase, limit, hit] >= ANSWERS_EACH for limit in LIMITS)

        self._phase = phase
        with self._answered:
            self._answered.wait_for(lambda: is_enough() or self._has_failed(), PHASE_SECONDS_MAX)
            assert self._has_failed() or is_enough(), (phase, self.outcomes)

    def hits_in(self, phase: str) -> int:
        return sum(self.outcomes[phase, limit, True] for limit in LIMITS)

    def stop(self) -> None:
        """Raise what an asker did."""
        self._is_stopped = True
        self._pool.shutdown()
        for asker in self._askers:
            asker.result()

    def _has_failed(self) -> bool:
        return any(asker.done() for asker in self._askers)


def test_a_cache_that_dies_and_comes_back_under_load_changes_no_answer(server: RedisServer) -> None:
    store = EchoingStore(seconds=QUERY_SECONDS)
    caches = [ValkeyAnswerCache(server.url, call_seconds_max=CROWDED_SECONDS) for _ in range(ASKERS)]
    load = Load([deps_of(store, cache) for cache in caches])
    try:
        load.wait_for_each("warm", hit=True)
        server.kill()
        load.wait_for_each("killed", hit=False)
        hits_of_nobody = load.hits_in("killed")
        server.start()
        load.wait_for_each("back", hit=True)
        server.hang()
        load.wait_for_each("hung", hit=False)
        server.go_on()
        load.wait_for_each("well", hit=True)
    finally:
        load.stop()

    assert load.wrong == []
    assert hits_of_nobody == 0
