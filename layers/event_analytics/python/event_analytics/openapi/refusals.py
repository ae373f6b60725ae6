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
_OF_EVERY_KEYED: Final = (
    Reason.KEY_MISSING,
    Reason.KEY_INVALID,
    Reason.SCOPE_MISSING,
    Reason.ROUTE_NOT_FOUND,
    Reason.THROTTLED,
    Reason.QUOTA_EXCEEDED,
    Reason.FUNCTION_UNAVAILABLE,
    Reason.INTERNAL_ERROR,
)
_RETRY_LATER: Final = {429, 503}
_RETRY_AFTER: Final = {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}


def refusals(reasons: Iterable[Reason]) -> dict[str, Any]:
    """Responses by status, of these reasons and those of every operation that needs a key."""
    ordered = sorted({*reasons, *_OF_EVERY_KEYED}, key=lambda reason: (status_of(reason), reason))
    return {str(status): _response(status, list(group)) for status, group in groupby(ordered, key=status_of)}


def _response(status: int, reasons: list[Reason]) -> dict[str, Any]:
    named = {"type": "object", "properties": {"reason": {"enum": [str(reason) for reason in reasons]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"error": named}}]}
    response: dict[str, Any] = {
        "description": ", ".join(f"`{reason}`" for reason in reasons),
        "content": {"application/json": {"schema": schema}},
    }
    return {**response, "headers": {"Retry-After": _RETRY_AFTER}} if status in _RETRY_LATER else response
