"""HTTP reads -> ClickHouse. Every answer is exact: a count over deduplicated rows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from chalice.app import Response

from event_analytics.adapters.chalice_http import answering, new_app
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.secrets_manager import SecretsManagerSource, read_clickhouse_credentials
from event_analytics.admission import admit
from event_analytics.errors import Reason, Refused, StoreUnavailable
from event_analytics.event import TEXT_KEY_LENGTH_MAX
from event_analytics.http_exchange import Answer, Request, answer
from event_analytics.observability import Telemetry
from event_analytics.ports import EventStore, KeySource
from event_analytics.reports import (
    Query,
    compile_conversation,
    compile_embeddings,
    compile_event,
    compile_latency,
    compile_top_users,
    cut_page,
    describe_event,
    format_instant,
    read_cursor,
    read_limit,
    refuse_unknown,
)
from event_analytics.settings import ObservabilitySettings, QuerySettings
from event_analytics.windows import Window, read_window

READ_SCOPE = "read"
REPORT_PARAMETERS = frozenset({"window", "start", "end", "limit"})
PAGE_PARAMETERS = frozenset({"limit", "cursor"})


@dataclass(frozen=True)
class Deps:
    """What answering needs."""

    store: EventStore
    keys: KeySource
    now: Callable[[], datetime]
    kafka_durability: str = "replicated"
    cors_origin: str = ""

    @classmethod
    def from_settings(cls, settings: QuerySettings) -> "Deps":
        """The real ones."""
        user, password = read_clickhouse_credentials(settings.clickhouse_secret_id)
        return cls(
            store=ClickHouseEventStore(settings.clickhouse_url, user, password),
            keys=SecretsManagerSource(settings.keys_secret_id),
            now=lambda: datetime.now(UTC),
            kafka_durability=settings.kafka_durability,
            cors_origin=settings.cors_origin,
        )


def handle_top_users(request: Request, deps: Deps) -> Answer:
    """`users: [{user_id, events}]` by events, with the window's totals."""
    window, limit = _read_report(request, deps)
    rows = _select(deps, compile_top_users(window, limit))
    totals = {name: rows[0][name] if rows else 0 for name in ("events_total", "users_total")}
    users = [{"user_id": row["user_id"], "events": row["events"]} for row in rows]
    return _answer_report({"users": users, **totals}, window, deps)


def handle_latency(request: Request, deps: Deps) -> Answer:
    """`latency: [{event_name, events, p50_ms, p95_ms, p99_ms}]` by event name; quantiles are exact."""
    window, limit = _read_report(request, deps)
    rows = _select(deps, compile_latency(window, limit))
    names = ("p50_ms", "p95_ms", "p99_ms")
    latency = [
        {
            "event_name": row["event_name"],
            "events": row["events"],
            **dict(zip(names, row["quantiles"], strict=True)),
        }
        for row in rows
    ]
    return _answer_report({"latency": latency}, window, deps)


def handle_conversation(request: Request, deps: Deps) -> Answer:
    """`events: [...]` of one conversation by (timestamp, id), with `next_cursor`."""
    admit(request, deps.keys, READ_SCOPE, deps.now())
    refuse_unknown(request.query, PAGE_PARAMETERS)
    conversation_id = request.path_parameters["id"]
    if len(conversation_id) > TEXT_KEY_LENGTH_MAX:
        raise Refused(Reason.TEXT_TOO_LONG, f"a conversation id has up to {TEXT_KEY_LENGTH_MAX} characters", "id")
    limit = read_limit(request.query)
    after = read_cursor(request.query.get("cursor"))
    rows = _select(deps, compile_conversation(conversation_id, after, limit + 1))
    events, next_cursor = cut_page(rows, limit)
    return answer(
        200,
        {
            "events": events,
            "exact": True,
            "generated_at": format_instant(deps.now()),
            "next_cursor": next_cursor,
        },
    )


def handle_event(request: Request, deps: Deps) -> Answer:
    """The one event, with its embeddings; 404 if there is none yet, 410 if it was deleted."""
    admit(request, deps.keys, READ_SCOPE, deps.now())
    refuse_unknown(request.query, frozenset())
    try:
        identifier = msgspec.convert(request.path_parameters["id"], UUID)
    except msgspec.ValidationError:
        raise Refused(Reason.ID_INVALID, "an id is a UUID", "id") from None
    rows = _select(deps, compile_event(identifier))
    if not rows:
        raise Refused(Reason.EVENT_NOT_FOUND, "there is no event of this id, or it is not loaded yet")
    if rows[0]["is_deleted"]:
        raise Refused(Reason.EVENT_DELETED, "the event was deleted")
    embeddings = _select(deps, compile_embeddings(rows[0])) or [{}]
    vectors = {name: embeddings[0].get(name) or None for name in ("input_embeddings", "output_embeddings")}
    return answer(200, {**describe_event(rows[0]), **vectors})


def handle_health(_request: Request, deps: Deps) -> Answer:
    """200 while ClickHouse answers, else 503; says what an acknowledgement of Kafka survives."""
    try:
        _select(deps, Query("SELECT 1 AS one", {}))
    except (StoreUnavailable, Refused):
        status, clickhouse = 503, "unavailable"
    else:
        status, clickhouse = 200, "ok"
    state = "ok" if status == 200 else "degraded"  # noqa: PLR2004 - HTTP's own number
    return answer(status, {"status": state, "clickhouse": clickhouse, "kafka_durability": deps.kafka_durability})


def _read_report(request: Request, deps: Deps) -> tuple[Window, int]:
    now = deps.now()
    admit(request, deps.keys, READ_SCOPE, now)
    refuse_unknown(request.query, REPORT_PARAMETERS)
    return read_window(request.query, now), read_limit(request.query)


def _select(deps: Deps, query: Query) -> list[dict[str, Any]]:
    return deps.store.select(query.sql, query.parameters)


def _answer_report(rows: dict[str, Any], window: Window, deps: Deps) -> Answer:
    frame = {
        "exact": True,
        "generated_at": format_instant(deps.now()),
        "start": format_instant(window.start),
        "end": format_instant(window.end),
        "next_cursor": None,
    }
    return answer(200, {**rows, **frame})


app = new_app("query")


@app.route("/event/{id}", methods=["GET"])
def get_event(id: str) -> Response:  # noqa: A002, ARG001 - the name stands in the route
    """Route of one event."""
    return _answer(handle_event)


@app.route("/conversations/{id}/events", methods=["GET"])
def get_conversation_events(id: str) -> Response:  # noqa: A002, ARG001 - as above
    """Route of one conversation."""
    return _answer(handle_conversation)


@app.route("/reports/top-users", methods=["GET"])
def get_top_users() -> Response:
    """Route of the report."""
    return _answer(handle_top_users)


@app.route("/reports/latency", methods=["GET"])
def get_latency() -> Response:
    """Route of the report."""
    return _answer(handle_latency)


@app.route("/health", methods=["GET"])
def get_health() -> Response:
    """Route that needs no key."""
    return _answer(handle_health)


def _answer(handle: Callable[[Request, Deps], Answer]) -> Response:
    return answering(app, lambda request: handle(request, _deps()), _telemetry().line, _deps().cors_origin)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(QuerySettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "query")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point: a REST proxy event in, a proxy answer out."""
    with _telemetry().invocation(context):
        return app(event, context)
