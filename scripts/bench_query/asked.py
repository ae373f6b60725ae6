"""The questions that are timed, each with what it may take at a hundred million events on two cores.

Every run of a question asks about something else: the window ends some seconds earlier, the conversation or the event
is another one. So nothing is answered from what the run before left in a cache of results.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.http_exchange import Request
from event_analytics.ports import EventStore
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Query
from event_analytics.questions.question import Asked
from event_analytics.questions.top_users import compile_counted
from event_analytics.windows import format_instant
from scripts.bench_query.generation import DIMENSIONS, EMBEDDED_ONE_IN, EMBEDDINGS_MAX, END, Scale, compile_sample

_STEP: Final = timedelta(seconds=37)  # between the ends of the windows of two runs
_VECTORS: Final = (50_000, 100_000, 200_000, EMBEDDINGS_MAX)
_SESSION: Final = "event_name,conversation_id"
_PROPERTIES: Final = {"properties.plan": "pro", "properties.stars": "gte:4"}
_NO_PROPERTY: Final = {"properties.plan": "gold"}


class Samples(NamedTuple):
    """Events of all of the time, one per run: their conversations, their ids of version 7, those of version 4."""

    conversations: tuple[str, ...]
    ids: tuple[str, ...]
    client_ids: tuple[str, ...]


def read_samples(store: EventStore, scale: Scale, runs: int) -> Samples:
    """One event of each kind per run, evenly over all of the time; never one that was deleted."""
    conversations, ids, client_ids = [], [], []
    for run in range(runs):
        statement = compile_sample(scale, (run + 0.5) / runs)
        rows = store.select(statement.sql, statement.parameters)
        versions = {UUID(row["id"]).version: row for row in reversed(rows)}
        ids.append(versions[7]["id"])
        client_ids.append(versions[4]["id"])
        conversations.append(versions[7]["conversation_id"])
    return Samples(tuple(conversations), tuple(ids), tuple(client_ids))


class Timed(NamedTuple):
    """One question in one form. `target_ms`: of the median, straight at the engine; None for none.

    `request`: the request of a run. `compile`: instead of the question's own answer, one SQL, and no function.
    """

    name: str
    question: str
    request: Callable[[int], Request]
    target_ms: float | None = None
    compile: Callable[[Asked], Query] | None = None

    def now(self, run: int) -> datetime:
        """The clock of a run."""
        return END - run * _STEP


def list_questions(scale: Scale, samples: Samples) -> Iterator[Timed]:
    """All of them, in the order of the report."""
    yield _by_query("errors of one event name, 7 d", "errors", 100, window="7d", event_name="tool_called")
    yield _by_query("errors by event name, 7 d", "errors", 100, window="7d")
    yield _by_query("p95 per event name and session, 1 d", "latency", 180, window="24h", by=_SESSION)
    yield _by_path("timeline of one session", "conversation-events", samples.conversations, 80)
    yield _by_query(
        "top sessions by error rate, 7 d", "top-conversations", 250, window="7d", min_events="5", limit="20"
    )
    yield _by_query("top users, 24 h", "top-users", 40, window="24h", limit="10")
    yield _by_path("one event by its id (v7)", "event", samples.ids, 40)
    yield _by_path("one event by its id (v4)", "event", samples.client_ids, 40)
    for window in ("7d", "30d"):
        yield _by_query(f"top users, {window}", "top-users", window=window, limit="10")
    for window in ("24h", "7d", "30d"):
        counted = _by_query(f"top users, {window}, without rollups", "top-users", window=window, limit="10")
        yield counted._replace(compile=compile_counted)
    yield _by_query("latency by event name, 7 d", "latency", window="7d")
    yield _by_query("volume by hour, 7 d", "volume", window="7d")
    yield _by_query("volume by day, 30 d", "volume", window="30d", interval="day")
    yield _by_query("events, first page of 7 d", "events", window="7d")
    yield _by_query("events, page by two properties, 7 d", "events", None, window="7d", **_PROPERTIES)
    yield _by_query("events, filter that nothing matches, 24 h", "events", None, window="24h", **_NO_PROPERTY)
    for count in (count for count in _VECTORS if count * EMBEDDED_ONE_IN <= scale.rows):
        yield _similar(scale, count)


def _by_query(name: str, question: str, target_ms: float | None = None, **query: str) -> Timed:
    return Timed(name, question, lambda _run: _request(question, query=query), target_ms)


def _by_path(name: str, question: str, ids: tuple[str, ...], target_ms: float) -> Timed:
    return Timed(name, question, lambda run: _request(question, path_parameters={"id": ids[run % len(ids)]}), target_ms)


def _similar(scale: Scale, count: int) -> Timed:
    """Among the newest embeddings, of which there are `count` in a window of that length."""
    length = (END - scale.begin) * (count * EMBEDDED_ONE_IN / scale.rows)

    def request(run: int) -> Request:
        chance = random.Random(run)  # noqa: S311 - a vector to measure with
        vector = [chance.uniform(-1, 1) for _ in range(DIMENSIONS)]
        document = {"embedding": vector, "start": format_instant(END - length), "end": format_instant(END)}
        return _request("similar-events", body=json.dumps(document))

    return Timed(f"similar events among {count:,}", "similar-events", request)


def _request(question: str, **fields: Any) -> Request:
    asked = BY_NAME[question]
    headers: Mapping[str, str] = {"content-type": "application/json"}
    empty: dict[str, Any] = {"path_parameters": {}, "query": {}, "body": None}
    rest = {"headers": headers, "is_base64": False, "authorizer": None}
    return Request(route=f"{asked.method} {asked.route}", **{**empty, **rest, **fields})
