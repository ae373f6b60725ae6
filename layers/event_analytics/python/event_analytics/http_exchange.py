"""One HTTP request as API Gateway's REST proxy event describes it, and one answer to it. Free of any framework."""

import json
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from event_analytics.errors import Reason, Refused, Unavailable

RESPONSE_BYTES_MAX: Final = 4_000_000  # of a body, as callers get it
PAYLOAD_BYTES_MAX: Final = 6_000_000  # of a body as the text inside Lambda's answer, which takes 6 MB with the rest
_ESCAPE_BYTES_MAX: Final = 6  # of one byte: a control character is \u0001
# Up to Python 3.11 Lambda's runtime escapes what is no ASCII: six bytes for the two of a Cyrillic letter.
# https://github.com/aws/aws-lambda-python-runtime-interface-client (lambda_runtime_marshaller.py)
_IS_ASCII_ALONE: Final = sys.version_info < (3, 12)
_JSON: Final = "application/json"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Request(NamedTuple):
    """Header names are lower case. `authorizer`: what API Gateway's authorizer added, else None.

    `query` has the last value of each parameter; `repeated` all values of those that were given more than once.
    """

    route: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str | None
    is_base64: bool
    authorizer: Mapping[str, Any] | None
    repeated: Mapping[str, Sequence[str]] = _NOTHING


class Answer(NamedTuple):
    """`body` is text, of the type that the headers say."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def read_request(event: Mapping[str, Any]) -> Request:
    """The request inside a REST proxy event (payload version 1.0)."""
    context = event.get("requestContext") or {}
    multiple = event.get("multiValueQueryStringParameters") or {}
    return Request(
        route=f"{context.get('httpMethod', '')} {context.get('resourcePath', '')}",
        # A REST API, as a load balancer, passes them as they were sent: https://github.com/serverless/serverless/issues/5037
        path_parameters={name: unquote(text) for name, text in (event.get("pathParameters") or {}).items()},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=event.get("body"),
        is_base64=bool(event.get("isBase64Encoded")),
        authorizer=context.get("authorizer"),
        repeated={name: values for name, values in multiple.items() if len(values) > 1},
    )


def payload_bytes_of(body: bytes) -> int:
    """What a body takes inside Lambda's answer, where its quotes and backslashes are escaped once more."""
    return len(json.dumps(body.decode(), ensure_ascii=_IS_ASCII_ALONE).encode())


def is_deliverable(body: bytes) -> bool:
    """Whether a body reaches the caller: what Lambda refuses to pass on is a 500, however often it is asked for."""
    if len(body) > RESPONSE_BYTES_MAX:
        return False
    return len(body) * _ESCAPE_BYTES_MAX <= PAYLOAD_BYTES_MAX or payload_bytes_of(body) <= PAYLOAD_BYTES_MAX


def answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with `document` as JSON."""
    return Answer(status, msgspec.json.encode(document), {"Content-Type": _JSON, **(headers or {})})


def answer_refused(refused: Refused) -> Answer:
    """`{"error": {"reason", "message", "field"?}}` with the status of the reason, and Retry-After if it may pass."""
    description = _describe(refused.reason, refused.message, refused.field)
    wait = refused.retry_after_seconds
    return answer(refused.status, {"error": description}, {"Retry-After": str(wait)} if wait else None)


def answer_unavailable(unavailable: Unavailable) -> Answer:
    """503 with Retry-After, in seconds."""
    description = _describe(unavailable.reason, "try again later", None)
    return answer(503, {"error": description}, {"Retry-After": str(unavailable.retry_after_seconds)})


def answer_failed() -> Answer:
    """500 without detail: that stands in the log under the request's id."""
    return answer(500, {"error": _describe(Reason.INTERNAL_ERROR, "an internal error occurred", None)})


def _describe(reason: Reason, message: str, field: str | None) -> dict[str, str]:
    description = {"reason": str(reason), "message": message}
    return description if field is None else {**description, "field": field}
