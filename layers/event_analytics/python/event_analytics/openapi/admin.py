"""What operators ask for: dead letters, and the erasure of a user."""

from typing import Any, Final

from event_analytics.errors import Reason
from event_analytics.event import TEXT_KEY_LENGTH_MAX
from event_analytics.letter_admin import LETTERS_REDRIVEN_MAX
from event_analytics.openapi.refusals import refusals
from event_analytics.questions.parameters import LIMIT_DEFAULT, LIMIT_MAX

Schema = dict[str, Any]

_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_TEXT: Final[Schema] = {"type": "string"}
_CURSOR: Final[Schema] = {"type": ["string", "null"]}
_LETTER: Final[Schema] = {
    "type": "object",
    "description": "A record that could not be loaded, and why.",
    "required": ["id", "reason", "topic", "partition", "offset", "dead_at"],
    "properties": {
        "id": _TEXT,
        "reason": _TEXT,
        "detail": {"type": ["string", "null"]},
        "error_code": {"type": ["integer", "null"], "description": "ClickHouse's."},
        "error_name": {"type": ["string", "null"]},
        "topic": _TEXT,
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
        "epoch": _TEXT,
        "timestamp": {"type": ["string", "null"]},
        "dead_at": {"type": ["string", "null"]},
        "value_bytes": {"type": ["integer", "null"]},
    },
}
_ERASURE: Final[Schema] = {
    "type": "object",
    "description": "How far the erasure of a user is.",
    "required": ["erasure_id", "status"],
    "properties": {"erasure_id": _TEXT, "status": _TEXT},
}
_REDRIVE: Final[Schema] = {
    "type": "object",
    "description": "Which letters go through their topic again: those of `ids`, or those that the conditions select.",
    "additionalProperties": False,
    "properties": {
        "ids": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": LETTERS_REDRIVEN_MAX},
        "reason": _TEXT,
        "start": _INSTANT,
        "end": _INSTANT,
        "cursor": _TEXT,
        "dry_run": {"type": "boolean", "default": False},
    },
}
_REASONS_OF_SELECTION: Final = (Reason.PARAMETER_UNKNOWN, Reason.CURSOR_INVALID, Reason.WINDOW_INVALID)


def admin_schemas() -> dict[str, Schema]:
    """Components of operators' calls."""
    return {"Letter": _LETTER, "Erasure": _ERASURE, "Redrive": _REDRIVE}


def admin_paths() -> dict[str, dict[str, Any]]:
    """Operations of the admin function."""
    return {
        "/dead-letters": {"get": _list_letters()},
        "/dead-letters/{id}": {
            "get": _operation(
                "dead_letter",
                "One dead letter with its record.",
                _ref("Letter"),
                (Reason.DEAD_LETTER_NOT_FOUND, Reason.PARAMETER_UNKNOWN),
                parameters=[_path("id", _TEXT)],
            )
        },
        "/dead-letters/redrive": {"post": _redrive_letters()},
        "/users/{user_id}": {"delete": _erase_user()},
        "/erasures/{id}": {
            "get": _operation(
                "erasure",
                "How far an erasure is, with counts before and after.",
                _ref("Erasure"),
                (Reason.ERASURE_NOT_FOUND, Reason.PARAMETER_UNKNOWN),
                parameters=[_path("id", _TEXT)],
            )
        },
    }


def _list_letters() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    schemas = {"limit": limit, "cursor": _TEXT, "reason": _TEXT, "start": _INSTANT, "end": _INSTANT}
    return _operation(
        "dead_letters",
        "Records that could not be loaded, by topic, partition and offset.",
        _page_of("letters", _ref("Letter")),
        (*_REASONS_OF_SELECTION, Reason.LIMIT_INVALID),
        parameters=[{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()],
    )


def _redrive_letters() -> dict[str, Any]:
    done = {"type": "object", "required": ["id", "status"], "properties": {"id": _TEXT, "status": _TEXT}}
    reasons = (
        *_REASONS_OF_SELECTION,
        Reason.BODY_UNREADABLE,
        Reason.BODY_TOO_LARGE,
        Reason.UNSUPPORTED_CONTENT_TYPE,
        Reason.UNSUPPORTED_ENCODING,
        Reason.TOO_MANY_LETTERS,
        Reason.DEAD_LETTER_NOT_FOUND,
        Reason.LOG_UNAVAILABLE,
    )
    operation = _operation(
        "redrive", "Sends dead letters through their topics again.", _page_of("letters", done), reasons
    )
    return {**operation, "requestBody": {"required": True, "content": _json(_ref("Redrive"))}}


def _erase_user() -> dict[str, Any]:
    key = {"type": "string", "minLength": 1, "maxLength": TEXT_KEY_LENGTH_MAX}
    return _operation(
        "erase_user",
        "Erases what was accepted of a user until now, everywhere.",
        _ref("Erasure"),
        (Reason.TEXT_TOO_LONG, Reason.TEXT_INVALID, Reason.PARAMETER_UNKNOWN),
        parameters=[_path("user_id", key)],
        status="202",
    )


def _operation(
    name: str,
    summary: str,
    schema: Schema,
    reasons: tuple[Reason, ...],
    *,
    parameters: list[dict[str, Any]] | None = None,
    status: str = "200",
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["admin"],
        "summary": summary,
        "description": "Scope `admin`.",
        "parameters": parameters or [],
        "responses": {status: {"description": summary, "content": _json(schema)}, **refusals(reasons)},
    }


def _path(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _page_of(member: str, item: Schema) -> Schema:
    rows = {"type": "array", "items": item}
    unreadable = {"type": "array", "items": _TEXT, "description": "Objects on the way that are no letters, by name."}
    properties = {member: rows, "next_cursor": _CURSOR, "unreadable": unreadable}
    return {"type": "object", "required": [member], "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
