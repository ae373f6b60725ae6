"""Good defaults for what tests build: events, Kafka records and batches, HTTP requests. Override what matters."""

import base64
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from event_analytics.http_exchange import Request
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.validate import Acceptance

ACCEPTED_US = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
ACCEPTED_MS = ACCEPTED_US // 1_000
UUID7 = "01a0c450-6c00-7000-8000-000000000001"  # its time is ACCEPTED_MS
SAMPLE_EPOCH = "samples"  # of documented payloads: their offsets are none of the running topic's
UUID4 = "4b1e0d4c-8b7b-4d5e-9d4c-0123456789ab"


def an_event(**fields: Any) -> dict[str, Any]:
    """An event as a client sends it; a field given as None is left out."""
    event = {"id": UUID7, "user_id": "u1", "conversation_id": "c1", "event_name": "message_sent", **fields}
    return {name: value for name, value in event.items() if value is not None}


def raw(**fields: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(an_event(**fields)).encode()


def an_acceptance(**fields: Any) -> Acceptance:
    """Acceptance at ACCEPTED_US."""
    return Acceptance(**{"accepted_us": ACCEPTED_US, "random_bytes": os.urandom, **fields})


def a_record(offset: int = 0, **fields: Any) -> KafkaRecord:
    """A Kafka record that holds an encoded event."""
    value = json.dumps(
        {**an_event(), "timestamp": "2026-09-21T14:13:20Z", "accepted_us": ACCEPTED_US, "output": f"text {offset}"}
    ).encode()
    defaults = {
        "topic": "events",
        "partition": 0,
        "offset": offset,
        "timestamp_ms": ACCEPTED_MS,
        "key": b"u1",
        "value": value,
    }
    return KafkaRecord(**{**defaults, **fields})


def a_lambda_batch(records: Iterable[KafkaRecord]) -> dict[str, Any]:
    """AWS's event around records, as a self-managed Kafka mapping sends it."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        grouped.setdefault(f"{record.topic}-{record.partition}", []).append(
            {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "timestamp": record.timestamp_ms,
                "timestampType": "CREATE_TIME",
                "key": None if record.key is None else base64.b64encode(record.key).decode(),
                "value": None if record.value is None else base64.b64encode(record.value).decode(),
                "headers": [],
            }
        )
    return {"eventSource": "SelfManagedKafka", "bootstrapServers": "b-1:9092", "records": grouped}


def ids_in(parameters: Mapping[str, Any], name: str = "ids") -> list[str]:
    """The ids that a statement was asked with, packed as `id_lists` does it."""
    packed = parameters[name] + parameters[f"more_{name}"]
    numbers = memoryview(base64.urlsafe_b64decode(packed)).cast("Q")
    return [str(UUID(int=high << 64 | low)) for high, low in zip(numbers[::2], numbers[1::2], strict=True)]


def a_request(
    body: object = None, *, key: str | None = None, headers: Mapping[str, str] | None = None, **fields: Any
) -> Request:
    """A request; `body` is sent as JSON unless it is text already."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    all_headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    defaults = {
        "route": "POST /events",
        "path_parameters": {},
        "query": {},
        "headers": {**all_headers, **(headers or {})},
        "body": text,
        "is_base64": False,
        "authorizer": None,
    }
    return Request(**{**defaults, **fields})
