"""Reports with a real cache in front: fast when it is there, right when it is not, whoever asks meanwhile."""

import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.adapters.valkey_answer_cache import ValkeyAnswerCache
from event_analytics.answer_caching import Caching
from event_analytics.observability import InvocationLine
from event_analytics.ports import Reading
from event_analytics.questions.catalog import BY_NAME
from functions.query import app
from tests.builders import a_request
from tests.fakes import FakeEventStore, FakeKeySource, FakeObjectStore
from tests.redis_server import RedisServer

HIT_SECONDS_MAX = 0.010
ASKERS = 8
ASKED_EACH = 60
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


def deps_of(store: EchoingStore, url: str) -> app.Deps:
    caching = Caching(ValkeyAnswerCache(url), 60_000, time.monotonic, time.sleep)
    return app.Deps(store=store, objects=FakeObjectStore(), keys=FakeKeySource(), now=lambda: NOW, caching=caching)


def top_user(deps: app.Deps, limit: int) -> str:
    request = a_request(key=deps.keys.read_key, query={"limit": str(limit), "window": "1h"})  # type: ignore[attr-defined]
    answer = app.handle_question(BY_NAME["top-users"], request, deps, InvocationLine())
    return str(json.loads(answer.body)["users"][0]["user_id"])


def test_a_hit_is_fast_and_asks_nothing_of_the_store(server: RedisServer) -> None:
    deps = deps_of(store := EchoingStore(), server.url)
    top_user(deps, 1)
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        top_user(deps, 1)
        taken.append(time.perf_counter() - started)

    assert len(store.asked) == 1
    assert statistics.median(taken) < HIT_SECONDS_MAX


def test_many_who_ask_at_once_ask_the_store_once(server: RedisServer) -> None:
    store = EchoingStore(seconds=0.2)
    everybody = [deps_of(store, server.url) for _ in range(ASKERS)]  # as many functions, each with its own connection
    with ThreadPoolExecutor(ASKERS) as pool:
        found = list(pool.map(lambda deps: top_user(deps, 7), everybody))

    assert found == ["u7"] * ASKERS
    assert len(store.asked) == 1


def test_a_cache_that_dies_and_comes_back_under_load_changes_no_answer(server: RedisServer) -> None:
    store = EchoingStore(seconds=0.001)

    def ask_on(deps: app.Deps) -> list[bool]:
        return [top_user(deps, limit := 1 + index % 20) == f"u{limit}" for index in range(ASKED_EACH)]

    everybody = [deps_of(store, server.url) for _ in range(ASKERS)]
    with ThreadPoolExecutor(ASKERS) as pool:
        answers = [pool.submit(ask_on, deps) for deps in everybody]
        for trouble, recovery in ((server.kill, server.start), (server.hang, server.go_on)):
            asked = len(store.asked)
            trouble()
            while len(store.asked) == asked and not all(each.done() for each in answers):
                pass
            recovery()
        right = [each for answer in answers for each in answer.result()]

    assert right == [True] * ASKERS * ASKED_EACH
    fresh = deps_of(store, server.url)
    top_user(fresh, 99)
    asked = len(store.asked)
    assert top_user(fresh, 99) == "u99"
    assert len(store.asked) == asked  # it keeps answers again
