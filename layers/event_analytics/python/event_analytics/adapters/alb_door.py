"""An Application Load Balancer as the HTTP door: its event becomes API Gateway's, the answer becomes its own.

The same routes and handlers serve both. What the gateway does and a load balancer does not is done here: routes are
matched, queries unquoted, gzip unpacked and packed, preflights answered. There is no authorizer before it, so
none is passed on, whatever the event holds: each handler then asks for the key itself.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from chalice.app import Chalice

from event_analytics.decode import BODY_BYTES_MAX
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import answer_refused

ANSWER_BYTES_MAX: Final = 1_000_000  # a load balancer takes 1 MB of JSON from a function, headers and escapes included
PACKED_BYTES_MIN: Final = 1_024  # as the gateway: below, packing costs more than it saves
_GZIP: Final = "gzip"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
# What the functions read and a page of another origin may send; template.yaml tells API Gateway the same.
PAGE_HEADERS: Final = (
    "Accept",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "traceparent",
)
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,DELETE,OPTIONS",
    "Access-Control-Allow-Headers": ",".join(PAGE_HEADERS),
    "Access-Control-Max-Age": "600",
}
_Routes = Mapping[str, Mapping[str, Any]]
_Event = Mapping[str, Any]


class _Match(NamedTuple):
    template: str
    parameters: dict[str, str]


def call_app(app: Chalice, event: dict[str, Any], context: Any, cors_origin: Callable[[], str]) -> Any:
    """The app's answer in the form of the door that the event came through."""
    if "elb" not in (event.get("requestContext") or {}):
        return app(event, context)
    headers = _last_of_each(event, "headers", "multiValueHeaders")
    try:
        match = _match_route(event["path"], app.routes)
        if event["httpMethod"] == "OPTIONS":
            answered = _answer_preflight(cors_origin())
        else:
            answered = app(_proxy_event_of(event, match, headers, app.routes), context)
    except Refused as refused:
        answered = _answer_refused(refused)
    answered = _pack(answered, headers.get("accept-encoding", ""))
    return _door_answer_of(_cut(answered), is_multiple="multiValueHeaders" in event)


def _proxy_event_of(event: _Event, match: _Match, headers: dict[str, str], routes: _Routes) -> dict[str, Any]:
    """A REST proxy event, with the fields that Chalice and `read_request` read.

    Raises:
        Refused: route_not_found, unsupported_encoding or body_too_large.
    """
    if event["httpMethod"] not in routes[match.template]:
        raise _refuse_route()
    body, is_base64 = _unpack(event, headers)
    query = _query_of(event)
    return {
        "path": event["path"],
        "httpMethod": event["httpMethod"],
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": match.parameters or None,
        "stageVariables": None,
        "body": body or None,
        "isBase64Encoded": is_base64,
        "requestContext": {
            "httpMethod": event["httpMethod"],
            "resourcePath": match.template,
            # The load balancer itself adds the last address; what stands before it is what the caller says.
            "identity": {"sourceIp": headers.get("x-forwarded-for", "").rpartition(",")[2].strip()},
        },
    }


def _match_route(path: str, routes: _Routes) -> _Match:
    """The route of a path as it was sent; a name in braces takes one segment, and a fixed one goes before it."""
    segments = (path.rstrip("/") or "/").split("/")
    for template in sorted(routes, key=lambda route: route.count("{")):
        wanted = template.split("/")
        pairs = list(zip(wanted, segments, strict=False))
        if len(wanted) == len(segments) and all(_fits(name, text) for name, text in pairs):
            return _Match(template, {name[1:-1]: text for name, text in pairs if name.startswith("{")})
    raise _refuse_route()


def _fits(name: str, text: str) -> bool:
    return bool(text) if name.startswith("{") else name == text


def _refuse_route() -> Refused:
    return Refused(Reason.ROUTE_NOT_FOUND, "no such route, or the route does not take this method")


def _last_of_each(event: _Event, single: str, multiple: str) -> dict[str, str]:
    """One value per name, in lower case; of several the last, as the gateway has it."""
    values = {name: each[-1] for name, each in (event.get(multiple) or {}).items() if each}
    return {name.lower(): value for name, value in (event.get(single) or values).items()}


def _query_of(event: _Event) -> dict[str, list[str]]:
    """All values by name, unquoted: a load balancer passes them as they were sent."""
    single = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    multiple = event.get("multiValueQueryStringParameters") or single
    return {unquote_plus(name): [unquote_plus(value) for value in values] for name, values in multiple.items()}


def _unpack(event: _Event, headers: dict[str, str]) -> tuple[str, bool]:
    """The body and whether it is base64; gzip is unpacked, up to one byte more than a request may have.

    Raises:
        Refused: unsupported_encoding or body_too_large.
    """
    body, is_base64 = event.get("body") or "", bool(event.get("isBase64Encoded"))
    if headers.get("content-encoding", "").strip().lower() != _GZIP:
        return body, is_base64
    del headers["content-encoding"]
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        raw = unpacker.decompress(base64.b64decode(body) if is_base64 else body.encode(), BODY_BYTES_MAX + 1)
    except (zlib.error, ValueError):
        raise Refused(Reason.UNSUPPORTED_ENCODING, "the body is not what its Content-Encoding says") from None
    if len(raw) > BODY_BYTES_MAX:
        raise Refused(Reason.BODY_TOO_LARGE, f"the body unpacks to more than the {BODY_BYTES_MAX} bytes that are taken")
    if not unpacker.eof:
        raise Refused(Reason.UNSUPPORTED_ENCODING, "the body is cut off")
    return base64.b64encode(raw).decode(), True


def _answer_preflight(origin: str) -> dict[str, Any]:
    if not origin:
        raise _refuse_route()  # no page of another origin may call
    headers = {**_PREFLIGHT, "Access-Control-Allow-Origin": origin}
    return {"statusCode": 200, "headers": headers, "body": ""}


def _answer_refused(refused: Refused) -> dict[str, Any]:
    status, body, headers = answer_refused(refused)
    return {"statusCode": status, "headers": dict(headers), "body": body.decode()}


def _pack(answered: dict[str, Any], accepted: str) -> dict[str, Any]:
    body = answered["body"].encode()
    if len(body) < PACKED_BYTES_MIN or _GZIP not in accepted.lower() or "Content-Encoding" in answered["headers"]:
        return answered
    packed = base64.b64encode(gzip.compress(body, mtime=0)).decode()
    headers = {**answered["headers"], "Content-Encoding": _GZIP}
    return {**answered, "headers": headers, "body": packed, "isBase64Encoded": True}


def _cut(answered: dict[str, Any]) -> dict[str, Any]:
    """The answer, or a refusal in its place where the load balancer would only say 502."""
    if len(json.dumps(answered)) <= ANSWER_BYTES_MAX:
        return answered
    message = f"the answer has over {ANSWER_BYTES_MAX:,} bytes: lower limit, or send Accept-Encoding: gzip"
    return _answer_refused(Refused(Reason.QUERY_TOO_HEAVY, message, "limit"))


def _door_answer_of(answered: dict[str, Any], *, is_multiple: bool) -> dict[str, Any]:
    status = HTTPStatus(answered["statusCode"])
    headers = answered["headers"]
    multiple = {"multiValueHeaders": {name: [value] for name, value in headers.items()}}
    return {
        "statusCode": status.value,
        "statusDescription": f"{status.value} {status.phrase}",
        "isBase64Encoded": bool(answered.get("isBase64Encoded")),
        "body": answered["body"],
        **(multiple if is_multiple else {"headers": headers}),  # a target group takes one of the two, by its setting
    }
