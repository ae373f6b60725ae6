"""Refusals of an operation, by status, each with the reasons that it may name."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from event_analytics.errors import Reason, status_of

ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Why a request is refused as a whole.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message"],
            "properties": {
                "reason": {"enum": [str(reason) for reason in Reason], "description": "Branch on this."},
                "message": {"type": "string", "description": "For people; it may change."},
                "field": {"type": "string", "description": "The field or parameter at fault."},
            },
        }
    },
}
# What API Gateway says in place of a function, of each operation and of those that need a key.
_OF_EVERY_ROUTE: Final = (
    Reason.ROUTE_NOT_FOUND,
    Reason.THROTTLED,
    Reason.FUNCTION_UNAVAILABLE,
    Reason.INTERNAL_ERROR,
)
_OF_EVERY_KEYED: Final = (
    *_OF_EVERY_ROUTE,
    Reason.KEY_MISSING,
    Reason.KEY_INVALID,
    Reason.SCOPE_MISSING,
    Reason.QUOTA_EXCEEDED,
)
_MAY_PASS: Final = {
    Reason.THROTTLED,
    Reason.QUOTA_EXCEEDED,
    Reason.FUNCTION_UNAVAILABLE,
    Reason.INTERNAL_ERROR,
    Reason.LOG_UNAVAILABLE,
    Reason.STORE_UNAVAILABLE,
    Reason.EVENT_NOT_FOUND,
}
_RETRY_AFTER: Final = {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}
_CHALLENGE: Final = {"schema": {"type": "string"}, "description": "How to identify oneself: Bearer."}


def refusals(reasons: Iterable[Reason]) -> dict[str, Any]:
    """Responses by status, of these reasons and those of every operation that needs a key."""
    return _by_status({*reasons, *_OF_EVERY_KEYED})


def refusals_of_public() -> dict[str, Any]:
    """Responses by status of an operation that needs no key."""
    return _by_status(_OF_EVERY_ROUTE)


def _by_status(reasons: Iterable[Reason]) -> dict[str, Any]:
    ordered = sorted(reasons, key=lambda reason: (status_of(reason), reason))
    return {str(status): _response(list(group)) for status, group in groupby(ordered, key=status_of)}


def _response(reasons: list[Reason]) -> dict[str, Any]:
    named = {"type": "object", "properties": {"reason": {"enum": [str(reason) for reason in reasons]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": named}}]}
    response: dict[str, Any] = {
        "description": ", ".join(f"`{reason}`" for reason in reasons),
        "content": {"application/json": {"schema": schema}},
    }
    headers = {
        **({"Retry-After": _RETRY_AFTER} if _MAY_PASS.intersection(reasons) else {}),
        **({"WWW-Authenticate": _CHALLENGE} if Reason.KEY_MISSING in reasons else {}),
    }
    return {**response, "headers": headers} if headers else response
