"""An event as a pydantic model, and a producer: what an ingest function of a rival is made of."""

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

from kafka import KafkaProducer
from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = Annotated[str, Field(min_length=1, max_length=128)]


class Event(BaseModel):
    """One event of a request."""

    model_config = ConfigDict(extra="forbid")

    event_name: Key
    id: uuid.UUID = Field(default_factory=uuid.uuid4)
    user_id: Key | None = None
    conversation_id: Key | None = None
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    error: str | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    input: str | None = None
    output: str | None = None
    properties: dict[str, Any] = {}
    conversation_metadata: dict[str, Any] = {}

    @model_validator(mode="after")
    def has_actor(self) -> "Event":
        """Either of the two that an event is ordered by."""
        if self.user_id is None and self.conversation_id is None:
            raise ValueError("user_id or conversation_id is required")
        return self


class Events(BaseModel):
    """The body of a request."""

    events: list[Event]


def connect(bootstrap: str) -> KafkaProducer:
    """A producer with the settings of ours."""
    return KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, batch_size=262_144, compression_type="lz4"
    )


def produce(producer: KafkaProducer, topic: str, events: list[Event]) -> dict[str, Any]:
    """The answer, once all are acknowledged."""
    accepted_us = time.time_ns() // 1_000
    futures = []
    for event in events:
        document = {"accepted_us": accepted_us, **event.model_dump(mode="json", exclude_none=True)}
        key = (event.user_id or event.conversation_id or "").encode()
        futures.append(producer.send(topic, json.dumps(document, separators=(",", ":")).encode(), key))
    producer.flush()
    for future in futures:
        future.get(timeout=0)
    return {"accepted": len(events), "items": [{"id": str(event.id), "status": "accepted"} for event in events]}


class Handler(Protocol):
    """A Lambda's entry point."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The answer of a proxy event."""


def run_requests(job: dict[str, Any], handler: Handler) -> dict[str, Any]:
    """Times the handler over the proxy events of a file, one request at a time."""
    requests = [json.loads(line) for line in Path(job["file"]).read_bytes().splitlines()]
    began, cpu = time.monotonic(), time.process_time()
    answers = [handler(request, None) for request in requests]
    seconds = time.monotonic() - began
    failed = [answer for answer in answers if answer["statusCode"] != 202]  # noqa: PLR2004 - accepted
    return {
        "records": job["records"],
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "failed": failed[:1],
    }
