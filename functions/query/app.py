"""HTTP reads -> ClickHouse. Every answer is exact: a count over deduplicated rows. Also serves the dashboard."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from chalice.app import Response

from event_analytics.adapters.alb_door import call_app
from event_analytics.adapters.chalice_http import ANY_CONTENT_TYPE, answering, new_app
from event_analytics.adapters.clickhouse_event_store import HANGING_SECONDS_MAX, ClickHouseEventStore
from event_analytics.adapters.dashboard_files import read_dashboard
from event_analytics.adapters.s3_object_store import HASTY_CLIENT, OBJECTS_UNAVAILABLE, S3ObjectStore
from event_analytics.adapters.secrets_manager import SecretsManagerSource, read_cache_password, read_clickhouse_login
from event_analytics.admission import admit
from event_analytics.answer_caching import Caching, answer_through, is_cacheable, is_from_cache, key_of
from event_analytics.dashboard_site import Site, answer_asset, answer_page
from event_analytics.errors import Reason, Refused, StoreUnavailable
from event_analytics.held_hours import HeldByWindow
from event_analytics.http_exchange import Answer, Request, answer
from event_analytics.kept_lag import read_kept_lag
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.openapi.document import answer_document
from event_analytics.pipeline_state import describe_state, read_objects_state, read_stored_state
from event_analytics.ports import ANSWER_LIMITS, AnswerLimits, EventStore, KeySource, ObjectStore, Reading
from event_analytics.questions.answering import answer_rows, frame_of
from event_analytics.questions.asking import read_asked
from event_analytics.questions.catalog import QUESTIONS
from event_analytics.questions.parameters import refuse_unknown
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.retention import clip_window, floor_of
from event_analytics.settings import ObservabilitySettings, QuerySettings
from event_analytics.version import VERSION

READ_SCOPE: Final = "read"
HEALTH_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.1  # while a caller waits for an event: a tenth of the time until it usually shows


@dataclass(frozen=True)
class Deps:
    """What answering needs. `clock`: seconds that only grow."""

    store: EventStore
    objects: ObjectStore
    keys: KeySource
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    kafka_durability: str = "replicated"
    request_encodings: Sequence[str] = ()
    cors_origin: str = ""
    dashboard: Callable[[], Site] = read_dashboard
    caching: Caching | None = None
    event_retention_days: int = 0
    limits: AnswerLimits = ANSWER_LIMITS
    held: HeldByWindow = field(default_factory=lambda: HeldByWindow(time.monotonic))

    @classmethod
    def from_settings(cls, settings: QuerySettings) -> "Deps":
        """The real ones."""
        login, limits = read_clickhouse_login(settings.clickhouse_secret_id), _limits_of(settings)
        return cls(
            store=ClickHouseEventStore(
                settings.clickhouse_url,
                login.user,
                login.password,
                HANGING_SECONDS_MAX,
                login.ca_certificate,
                limits=limits,
            ),
            objects=S3ObjectStore(settings.archive_bucket, config=HASTY_CLIENT),
            keys=SecretsManagerSource(settings.keys_secret_id),
            now=lambda: datetime.now(UTC),
            kafka_durability=settings.kafka_durability,
            request_encodings=[each for each in settings.request_encodings.split(",") if each],
            cors_origin=settings.cors_origin,
            caching=_caching_of(settings),
            event_retention_days=int(settings.event_retention_days),
            limits=limits,
        )


def _limits_of(settings: QuerySettings) -> AnswerLimits:
    return AnswerLimits(
        seconds=float(settings.answer_seconds_max),
        memory_bytes=int(settings.answer_memory_bytes_max),
        rows_read=int(settings.answer_rows_read_max),
    )


def _caching_of(settings: QuerySettings) -> Caching | None:
    if not settings.cache_url:
        return None
    from event_analytics.adapters.valkey_answer_cache import ValkeyAnswerCache  # noqa: PLC0415 - most do without it

    ttl_ms = round(float(settings.cache_seconds) * 1_000)
    return Caching(
        ValkeyAnswerCache(settings.cache_url, password=read_cache_password(settings.cache_secret_id)),
        ttl_ms,
        time.monotonic,
        time.sleep,
    )


class Meter:
    """Selects from a store within the time of one answer, and adds up what it costs."""

    def __init__(self, store: EventStore, clock: Callable[[], float], seconds_max: float) -> None:
        self._store = store
        self._clock = clock
        self._seconds_max = seconds_max
        self._deadline = clock() + seconds_max
        self.rows_read = 0
        self.bytes_read = 0
        self.query_ms = 0.0

    def select(self, query: Query) -> Reading:
        """Rows of one query.

        Raises:
            Refused: query_too_heavy: no time is left.
        """
        seconds_left = self._deadline - self._clock()
        if seconds_left <= 0:
            raise Refused(Reason.QUERY_TOO_HEAVY, f"the answer takes over {self._seconds_max:g} s: ask for less")
        reading = self._store.ask(query.sql, query.parameters, seconds_left)
        self.rows_read += reading.rows_read
        self.bytes_read += reading.bytes_read
        self.query_ms += reading.elapsed_ms
        return reading


def handle_question(question: Question, request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """The answer to one question of the catalogue, kept or made."""
    now = deps.now()
    line.note(key_id=admit(request, deps.keys, READ_SCOPE, now).key_id)
    asked = read_asked(question, request, now)
    asked = asked._replace(window=clip_window(asked.window, floor_of(now, deps.event_retention_days)))
    if deps.caching is None or not is_cacheable(question):
        return _make_answer(question, request, asked, deps, line)
    make = partial(_make_answer, question, request, asked, deps, line)
    found = answer_through(deps.caching, key_of(question, request), make)
    is_hit = is_from_cache(found)
    line.count(cache_hits=int(is_hit), cache_misses=int(not is_hit))
    return found


def _make_answer(question: Question, request: Request, asked: Asked, deps: Deps, line: InvocationLine) -> Answer:
    started, now = deps.clock(), deps.now()
    meter = Meter(deps.store, deps.clock, deps.limits.seconds)
    found = _find(question, asked, meter, deps)
    line.count(rows_read=meter.rows_read, bytes_read=meter.bytes_read, query_ms=meter.query_ms)
    frame = frame_of(asked, found, now, meter.rows_read, (deps.clock() - started) * 1_000)
    return answer_rows(question, asked, found, frame, request.headers.get("accept", ""))


def _find(question: Question, asked: Asked, meter: Meter, deps: Deps) -> Found:
    """What is found, at once or, if the caller waits for an event, as soon as it shows."""
    deadline = deps.clock() + asked.options.get("wait_ms", 0) / 1_000
    while True:
        try:
            return question.answer(asked, Select(meter.select, deps.held))
        except Refused as refused:
            if refused.reason is not Reason.EVENT_NOT_FOUND or deps.clock() >= deadline:
                raise
        deps.sleep(POLL_SECONDS)


def handle_pipeline(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """How the pipeline fares; null for what a part that does not answer would know."""
    now = deps.now()
    line.note(key_id=admit(request, deps.keys, READ_SCOPE, now).key_id)
    refuse_unknown(request.query, ())
    stored, objects, lag = None, None, None
    with suppress(StoreUnavailable, Refused):
        stored = read_stored_state(Select(Meter(deps.store, deps.clock, deps.limits.seconds).select), now)
    with suppress(*OBJECTS_UNAVAILABLE):
        objects = read_objects_state(deps.objects, now)
        lag = read_kept_lag(deps.objects)  # last: S3 forbids a missing object to who may not list it
    return answer(200, describe_state(now, stored, objects, lag))


def handle_health(_request: Request, deps: Deps, _line: InvocationLine) -> Answer:
    """200 while ClickHouse answers, else 503; also what an acknowledgement survives and how bodies may travel."""
    try:
        deps.store.ask("SELECT 1 AS one", {}, HEALTH_SECONDS_MAX)
    except (StoreUnavailable, Refused):
        status, clickhouse = 503, "unavailable"
    else:
        status, clickhouse = 200, "ok"
    state = "ok" if status == 200 else "degraded"  # noqa: PLR2004 - HTTP's own number
    health = {
        "status": state,
        "clickhouse": clickhouse,
        "kafka_durability": deps.kafka_durability,
        "version": VERSION,
        "request_encodings": deps.request_encodings,
    }
    return answer(status, health)


def handle_page(request: Request, deps: Deps, _line: InvocationLine) -> Answer:
    """The dashboard's page, or the one of its files that `?asset=` names."""
    name = request.query.get("asset")
    if name is None:
        return answer_page(deps.dashboard(), request.headers)
    return answer_asset(deps.dashboard(), name, request.query.get("v"), request.headers)


def handle_openapi(_request: Request, _deps: Deps, _line: InvocationLine) -> Answer:
    """The API's description."""
    return answer_document()


app = new_app("query")


def _add_route(question: Question) -> None:
    def view(**_path: str) -> Response:
        return _answer(lambda request, deps, line: handle_question(question, request, deps, line))

    app.route(question.route, methods=[question.method], name=question.name, content_types=ANY_CONTENT_TYPE)(view)


for _question in QUESTIONS:
    _add_route(_question)


@app.route("/reports/pipeline", methods=["GET"], content_types=ANY_CONTENT_TYPE)
def get_pipeline() -> Response:
    """Route of the pipeline's state."""
    return _answer(handle_pipeline)


@app.route("/health", methods=["GET"], content_types=ANY_CONTENT_TYPE)
def get_health() -> Response:
    """Route that needs no key."""
    return _answer(handle_health)


@app.route("/openapi.json", methods=["GET"], content_types=ANY_CONTENT_TYPE)
def get_openapi() -> Response:
    """Route that needs no key."""
    return _answer(handle_openapi)


@app.route("/", methods=["GET"], content_types=ANY_CONTENT_TYPE)
def get_page() -> Response:
    """Route of the dashboard; the page itself asks for a key."""
    return _answer(handle_page)


def _answer(handle: Callable[[Request, Deps, InvocationLine], Answer]) -> Response:
    line = _telemetry().line
    return answering(app, lambda request: handle(request, _deps(), line), line, _deps().cors_origin)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(QuerySettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "query")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point: an event of API Gateway or of a load balancer in, its answer out."""
    with _telemetry().invocation(context):
        return call_app(app, event, context, lambda: _deps().cors_origin)
