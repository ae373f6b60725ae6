"""HTTP writes -> Kafka. Answers only after the broker has acknowledged, or S3 while the broker does not.

POST /event takes one event, POST /events up to 5,000, PUT and DELETE /event/{id} change one, POST /batch mixes all. All
answer 202 with one item each; 400 only when nothing can be read or the single item is bad; 503 when nothing was taken.
"""

import secrets
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from chalice.app import Response

from event_analytics.adapters.alb_door import call_app
from event_analytics.adapters.chalice_http import ANY_CONTENT_TYPE, answering, new_app
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import HASTY_CLIENT, S3ObjectStore
from event_analytics.adapters.secrets_manager import SecretsManagerSource
from event_analytics.admission import admit
from event_analytics.decode import BODY_BYTES_MAX, media_type_of, read_body, split_events
from event_analytics.errors import LogUnavailable
from event_analytics.garbage import collect_rarely
from event_analytics.http_exchange import Answer, Request, answer
from event_analytics.ingest import Item, describe_items, item_of_event, plan_items, read_idempotency_key
from event_analytics.key_budget import KeyBudget
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.operations import plan_delete, plan_operations, plan_update
from event_analytics.ports import DurableLog, KeySource, Outcome
from event_analytics.settings import IngestSettings, ObservabilitySettings
from event_analytics.spooling import SpoolingLog
from event_analytics.tracing import TRACEPARENT, TracedLog, read_trace
from event_analytics.validate import Acceptance

WRITE_SCOPE = "write"


def now_us() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1_000


@dataclass(frozen=True)
class Deps:
    """What handling a write needs. `now_us`: Unix microseconds. `budget`: what each key may send."""

    log: DurableLog
    keys: KeySource
    now_us: Callable[[], int]
    cors_origin: str = ""
    budget: KeyBudget = field(default_factory=lambda: KeyBudget(0, BODY_BYTES_MAX))

    @classmethod
    def from_settings(cls, settings: IngestSettings) -> "Deps":
        """The real ones."""
        return cls(
            log=SpoolingLog(
                KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security),
                S3ObjectStore(settings.archive_bucket, config=HASTY_CLIENT),
                lambda: uuid.uuid4().hex,
                now_us,
            ),
            keys=SecretsManagerSource(settings.keys_secret_id),
            now_us=now_us,
            cors_origin=settings.cors_origin,
            budget=KeyBudget(float(settings.key_bytes_per_second), BODY_BYTES_MAX),
        )


def handle_event(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with the one item; raises Refused with the event's own reason."""
    acceptance = _acceptance_of(request, deps, line)
    media_type_of(request.headers.get("content-type"))
    return _append_one(item_of_event(_body_of(request), 0, acceptance), deps, line)


def handle_events(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with one item per event, in the order sent."""
    acceptance = _acceptance_of(request, deps, line)
    media_type = media_type_of(request.headers.get("content-type"))
    raw_events = split_events(_body_of(request), media_type)
    return _append(plan_items(raw_events, acceptance), deps, line)


def handle_update(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with the one item: the fields of the body are set, null clears one, the rest stays."""
    acceptance = _acceptance_of(request, deps, line)
    media_type_of(request.headers.get("content-type"))
    return _append_one(plan_update(request.path_parameters["id"], _body_of(request), acceptance), deps, line)


def handle_delete(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with the one item: the event is gone for ever, whatever comes later under its id."""
    return _append_one(plan_delete(request.path_parameters["id"], _acceptance_of(request, deps, line)), deps, line)


def handle_batch(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with one item per operation, in the order sent."""
    acceptance = _acceptance_of(request, deps, line)
    media_type = media_type_of(request.headers.get("content-type"))
    raw_operations = split_events(_body_of(request), media_type, "operations")
    return _append(plan_operations(raw_operations, acceptance), deps, line)


def _append_one(item: Item, deps: Deps, line: InvocationLine) -> Answer:
    if item.refused is not None:
        raise item.refused
    return _append([item], deps, line)


def _acceptance_of(request: Request, deps: Deps, line: InvocationLine) -> Acceptance:
    accepted_us = deps.now_us()
    now = datetime.fromtimestamp(accepted_us / 1_000_000, tz=UTC)
    caller = admit(request, deps.keys, WRITE_SCOPE, now)
    line.note(key_id=caller.key_id)
    deps.budget.spend(caller.key_id, len(request.body or ""), accepted_us)
    key = read_idempotency_key(request.headers.get("idempotency-key"))
    return Acceptance(accepted_us, secrets.token_bytes, (caller.key_id, key) if key else None)


def _body_of(request: Request) -> bytes:
    return read_body(
        request.body, is_base64=request.is_base64, content_encoding=request.headers.get("content-encoding")
    )


def _append(items: list[Item], deps: Deps, line: InvocationLine) -> Answer:
    records = [item.record for item in items if item.record is not None]
    outcomes = deps.log.append(records) if records else []
    line.note(**{f"{part}_trouble": text for part, text in deps.log.troubles.items()})
    taken = Counter(outcomes)
    rejected = len(items) - len(records)
    if rejected:
        line.count_reasons(item.refused.reason for item in items if item.refused is not None)
    line.count(
        accepted_events=taken[Outcome.ACCEPTED],
        spooled_events=taken[Outcome.SPOOLED],
        retry_events=taken[Outcome.RETRY],
        rejected_events=rejected,
        accepted_bytes=sum(len(record.value) for record in records),
    )
    body = {
        "accepted": taken.total() - taken[Outcome.RETRY],
        "rejected": rejected,
        "items": describe_items(items, outcomes),
    }
    if records and taken[Outcome.RETRY] == len(records):
        line.note(reason=str(LogUnavailable.reason))
        return answer(503, body, {"Retry-After": str(LogUnavailable.retry_after_seconds)})
    return answer(202, body)


app = new_app("ingest")


@app.route("/event", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_event() -> Response:
    """Route of one event."""
    return _answer(handle_event)


@app.route("/event/{id}", methods=["PUT"], content_types=ANY_CONTENT_TYPE)
def put_event(id: str) -> Response:  # noqa: A002, ARG001 - the name stands in the route
    """Route of an update."""
    return _answer(handle_update)


@app.route("/event/{id}", methods=["DELETE"], content_types=ANY_CONTENT_TYPE)
def delete_event(id: str) -> Response:  # noqa: A002, ARG001 - as above
    """Route of a delete."""
    return _answer(handle_delete)


@app.route("/batch", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_batch() -> Response:
    """Route of mixed operations."""
    return _answer(handle_batch)


@app.route("/events", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_events() -> Response:
    """Route of many events."""
    return _answer(handle_events)


def _answer(handle: Callable[[Request, Deps, InvocationLine], Answer]) -> Response:
    line = _telemetry().line
    return answering(
        app, lambda request: handle(request, deps_of(request, _deps(), line), line), line, _deps().cors_origin
    )


def deps_of(request: Request, deps: Deps, line: InvocationLine) -> Deps:
    """The same; for a request that is part of a trace, with a log that carries it on."""
    trace = read_trace(request.headers.get(TRACEPARENT))
    if trace is None:
        return deps
    ours = trace.child(secrets.token_bytes)
    line.note(trace_id=ours.trace_id, span_id=ours.span_id, parent_span_id=trace.span_id)
    return replace(deps, log=TracedLog(deps.log, ours))


@lru_cache(maxsize=1)
def _deps() -> Deps:
    collect_rarely()
    return Deps.from_settings(IngestSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "ingest")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point: an event of API Gateway or of a load balancer in, its answer out."""
    with _telemetry().invocation(context):
        return call_app(app, event, context, lambda: _deps().cors_origin)
