"""HTTP writes -> Kafka. Answers only after the broker has acknowledged.

POST /event takes one event, POST /events up to 5,000. Both answer 202 with one item per event; 400 only when nothing
can be read or the single event is bad; 503 when Kafka takes nothing.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from chalice.app import Response

from event_analytics.adapters.chalice_http import ANY_CONTENT_TYPE, answering, new_app
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.secrets_manager import SecretsManagerSource
from event_analytics.admission import admit
from event_analytics.decode import media_type_of, read_body, split_events
from event_analytics.errors import LogUnavailable
from event_analytics.http_exchange import Answer, Request, answer
from event_analytics.ingest import ACCEPTED, Item, describe_items, plan_items, read_idempotency_key
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventLog, KeySource
from event_analytics.settings import IngestSettings, ObservabilitySettings
from event_analytics.validate import Acceptance

WRITE_SCOPE = "write"


@dataclass(frozen=True)
class Deps:
    """What handling a write needs. `now_us`: Unix microseconds."""

    log: EventLog
    keys: KeySource
    now_us: Callable[[], int]
    cors_origin: str = ""

    @classmethod
    def from_settings(cls, settings: IngestSettings) -> "Deps":
        """The real ones."""
        return cls(
            log=KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security),
            keys=SecretsManagerSource(settings.keys_secret_id),
            now_us=lambda: time.time_ns() // 1_000,
            cors_origin=settings.cors_origin,
        )


def handle_event(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with the one item; raises Refused with the event's own reason."""
    acceptance = _acceptance_of(request, deps)
    media_type_of(request.headers.get("content-type"))
    items = plan_items([_body_of(request)], acceptance)
    if items[0].refused is not None:
        raise items[0].refused
    return _append(items, deps, line)


def handle_events(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with one item per event, in the order sent."""
    acceptance = _acceptance_of(request, deps)
    media_type = media_type_of(request.headers.get("content-type"))
    raw_events = split_events(_body_of(request), media_type)
    return _append(plan_items(raw_events, acceptance), deps, line)


def _acceptance_of(request: Request, deps: Deps) -> Acceptance:
    accepted_us = deps.now_us()
    now = datetime.fromtimestamp(accepted_us / 1_000_000, tz=UTC)
    caller = admit(request, deps.keys, WRITE_SCOPE, now)
    key = read_idempotency_key(request.headers.get("idempotency-key"))
    return Acceptance(accepted_us, secrets.token_bytes, (caller.key_id, key) if key else None)


def _body_of(request: Request) -> bytes:
    return read_body(
        request.body, is_base64=request.is_base64, content_encoding=request.headers.get("content-encoding")
    )


def _append(items: list[Item], deps: Deps, line: InvocationLine) -> Answer:
    records = [item.record for item in items if item.record is not None]
    acknowledged = deps.log.append(records) if records else []
    described = describe_items(items, acknowledged)
    accepted = sum(item["status"] == ACCEPTED for item in described)
    rejected = len(items) - len(records)
    line.count(
        accepted_events=accepted,
        rejected_events=rejected,
        accepted_bytes=sum(len(record.value) for record in records),
    )
    body = {"accepted": accepted, "rejected": rejected, "items": described}
    if records and not accepted:
        line.note(reason=str(LogUnavailable.reason))
        return answer(503, body, {"Retry-After": str(LogUnavailable.retry_after_seconds)})
    return answer(202, body)


app = new_app("ingest")


@app.route("/event", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_event() -> Response:
    """Route of one event."""
    return _answer(handle_event)


@app.route("/events", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_events() -> Response:
    """Route of many events."""
    return _answer(handle_events)


def _answer(handle: Callable[[Request, Deps, InvocationLine], Answer]) -> Response:
    line = _telemetry().line
    return answering(app, lambda request: handle(request, _deps(), line), line, _deps().cors_origin)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(IngestSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "ingest")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point: a REST proxy event in, a proxy answer out."""
    with _telemetry().invocation(context):
        return app(event, context)
