"""One trace from the caller's request to the row."""

import json
import uuid
from typing import Any

from event_analytics.adapters.aws_session import aws_session
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient


def lines_of(stack: EmbeddedStack, function: str, text: str) -> list[dict[str, Any]]:
    logs = aws_session(stack.connection.aws_endpoint).client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    name = next(each for each in groups if f"{function}Function" in each or each.endswith(f"-{function.lower()}"))
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, filterPattern=f'"{text}"')
    messages = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(message) for message in messages if text in message and message.startswith("{")]


def test_a_trace_spans_the_request_and_the_load_of_its_events(stack: EmbeddedStack, writer: ApiClient) -> None:
    trace_id, caller_span = uuid.uuid4().hex, "00f067aa0ba902b7"
    events = [{"user_id": f"traced-{n % 3}", "event_name": "e"} for n in range(12)]

    answer = writer.post("/events", {"events": events}, traceparent=f"00-{trace_id}-{caller_span}-01")
    stack.wait_until_delivered()

    assert answer.status == 202
    [request] = lines_of(stack, "Ingest", trace_id)
    batches = lines_of(stack, "Load", trace_id)
    assert (request["trace_id"], request["parent_span_id"], request["accepted_events"]) == (trace_id, caller_span, 12)
    assert request["span_id"] != caller_span
    assert batches
    assert all(trace_id in batch["trace_ids"] and batch["loaded_events"] for batch in batches)
