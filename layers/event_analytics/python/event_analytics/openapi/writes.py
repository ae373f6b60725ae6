"""What clients send: events and changes of them, with the limits that `validate` holds them to."""

from typing import Any, Final

from event_analytics.change import IMMUTABLE_FIELDS
from event_analytics.decode import EVENTS_PER_REQUEST_MAX
from event_analytics.embeddings import EMBEDDING_FLOATS_MAX
from event_analytics.errors import Reason
from event_analytics.event import ALIASES, JSON_DEPTH_MAX, JSON_KEYS_MAX, TEXT_KEY_LENGTH_MAX
from event_analytics.ingest import IDEMPOTENCY_KEY_LENGTH_MAX, REJECTED
from event_analytics.openapi.refusals import refusals
from event_analytics.ports import Outcome

Schema = dict[str, Any]

UUID: Final[Schema] = {"type": "string", "format": "uuid"}
EMBEDDING: Final[Schema] = {
    "description": f"Up to {EMBEDDING_FLOATS_MAX:,} numbers, or base64 of little-endian float32.",
    "anyOf": [
        {"type": "array", "items": {"type": "number"}, "maxItems": EMBEDDING_FLOATS_MAX},
        {"type": "string", "contentEncoding": "base64"},
        {"type": "null"},
    ],
}
_KEY_TEXT: Final[Schema] = {"type": ["string", "null"], "minLength": 1, "maxLength": TEXT_KEY_LENGTH_MAX}
_OBJECT: Final[Schema] = {
    "type": ["object", "null"],
    "description": f"At most {JSON_DEPTH_MAX} levels and {JSON_KEYS_MAX:,} keys; kept as sent.",
}
_FIELDS: Final[dict[str, Schema]] = {
    "id": {
        "type": ["string", "null"],
        "format": "uuid",
        "description": "The idempotency key. Missing: the server mints a UUIDv7 and returns it.",
    },
    "user_id": _KEY_TEXT,
    "conversation_id": _KEY_TEXT,
    "event_name": {"type": "string", "minLength": 1, "maxLength": TEXT_KEY_LENGTH_MAX},
    "timestamp": {
        "description": "RFC 3339 with offset, or Unix milliseconds; from 2000-01-01 to one day ahead. Default: the "
        "time inside a UUIDv7 id; now, if there is no id. Required with any other id.",
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}, {"type": "null"}],
    },
    "error": {"type": ["string", "null"], "description": "null and the empty text are success."},
    "latency_ms": {"type": ["number", "null"], "minimum": 0},
    "input": {"description": "A text; any other JSON value is kept as its JSON text."},
    "output": {"description": "As input."},
    "input_embeddings": EMBEDDING,
    "output_embeddings": EMBEDDING,
    "properties": _OBJECT,
    "conversation_metadata": {**_OBJECT, "description": "As properties."},
}
_ALIASES_TEXT: Final = "Aliases: " + ", ".join(f"{alias} for {name}" for alias, name in ALIASES.items())
_EVENT: Final[Schema] = {
    "type": "object",
    "description": f"One event as clients send it. {_ALIASES_TEXT}; each at most once.",
    "additionalProperties": False,
    "required": ["event_name"],
    "anyOf": [{"required": ["user_id"]}, {"required": ["conversation_id"]}],
    "properties": _FIELDS,
}
_CHANGE: Final[Schema] = {
    "type": "object",
    "description": "Fields to set; null clears one, and `properties` is a JSON merge patch (RFC 7396). Key fields "
    f"cannot change: {', '.join(sorted(IMMUTABLE_FIELDS))}.",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {name: schema for name, schema in _FIELDS.items() if name not in IMMUTABLE_FIELDS},
}
_ITEM: Final[Schema] = {
    "type": "object",
    "description": "What became of one event or operation.",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": ["string", "null"], "description": "Send it again under this id. null where there is none."},
        "status": {"enum": [*map(str, Outcome), REJECTED]},
        "reason": {"enum": [str(reason) for reason in Reason]},
        "message": {"type": "string"},
        "field": {"type": "string"},
    },
}
_WRITTEN: Final[Schema] = {
    "type": "object",
    "required": ["accepted", "rejected", "items"],
    "properties": {
        "accepted": {"type": "integer", "description": "Durable now: accepted or spooled."},
        "rejected": {"type": "integer"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    },
}
_REASONS_OF_BODY: Final = (
    Reason.BODY_UNREADABLE,
    Reason.BODY_TOO_LARGE,
    Reason.UNSUPPORTED_CONTENT_TYPE,
    Reason.UNSUPPORTED_ENCODING,
    Reason.IDEMPOTENCY_KEY_INVALID,
    Reason.JSON_TOO_DEEP,
)
_REASONS_OF_MANY: Final = (*_REASONS_OF_BODY, Reason.NO_EVENTS, Reason.TOO_MANY_EVENTS, Reason.UNKNOWN_FIELD)
_REASONS_OF_FIELDS: Final = (
    *_REASONS_OF_BODY,
    Reason.JSON_INVALID,
    Reason.EVENT_NOT_OBJECT,
    Reason.UNKNOWN_FIELD,
    Reason.AMBIGUOUS_FIELD,
    Reason.FIELD_MISSING,
    Reason.WRONG_TYPE,
    Reason.TEXT_EMPTY,
    Reason.TEXT_TOO_LONG,
    Reason.TEXT_INVALID,
    Reason.ID_INVALID,
    Reason.ACTOR_MISSING,
    Reason.TIMESTAMP_INVALID,
    Reason.TIMESTAMP_REQUIRED,
    Reason.TIMESTAMP_OUT_OF_RANGE,
    Reason.NUMBER_NOT_FINITE,
    Reason.NUMBER_NEGATIVE,
    Reason.EMBEDDING_INVALID,
    Reason.EMBEDDING_TOO_LONG,
    Reason.JSON_TOO_MANY_KEYS,
    Reason.EVENT_TOO_LARGE,
    Reason.IMMUTABLE_FIELD,
    Reason.NO_FIELDS,
)
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes the ids of events that have none, so that the same request again counts nothing twice. "
    "Without it and without ids a retry is another event: at least once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX, "pattern": r"^[!-~]+$"},
}
_ID: Final = {"name": "id", "in": "path", "required": True, "schema": UUID}
_EVENT_REF: Final = {"$ref": "#/components/schemas/Event"}
_CHANGE_REF: Final = {"$ref": "#/components/schemas/Change"}


def write_schemas() -> dict[str, Schema]:
    """Components of what is written and answered."""
    return {"Event": _EVENT, "Change": _CHANGE, "Operation": _operation_schema(), "Item": _ITEM, "Written": _WRITTEN}


def write_paths() -> dict[str, dict[str, Any]]:
    """Operations of the ingest function."""
    events = _list_of("events", _EVENT_REF)
    operations = _list_of("operations", {"$ref": "#/components/schemas/Operation"})
    post_event = _operation("post_event", "Sends one event.", _REASONS_OF_FIELDS, _json(_EVENT_REF))
    put_event = _operation("put_event", "Changes fields of one event.", _REASONS_OF_FIELDS, _json(_CHANGE_REF))
    delete_event = _operation("delete_event", "Deletes one event, for ever.", (Reason.ID_INVALID, *_REASONS_OF_BODY))
    return {
        "/event": {"post": post_event},
        "/events": {"post": _operation("post_events", "Sends many events.", _REASONS_OF_MANY, _many(events))},
        "/batch": {
            "post": _operation("post_batch", "Creates, updates and deletes.", _REASONS_OF_MANY, _many(operations))
        },
        "/event/{id}": {"parameters": [_ID], "put": put_event, "delete": delete_event},
    }


def _operation_schema() -> Schema:
    def variant(name: str, schema: Schema, required: list[str]) -> Schema:
        properties = {"op": {"const": name}, **({"id": UUID} if "id" in required else {}), **schema["properties"]}
        kept = {key: value for key, value in schema.items() if key in ("anyOf", "additionalProperties")}
        return {**kept, "type": "object", "required": ["op", *required], "properties": properties}

    delete: Schema = {"properties": {}, "additionalProperties": False}
    return {
        "oneOf": [
            variant("create", _EVENT, ["event_name"]),
            variant("update", _CHANGE, ["id"]),
            variant("delete", delete, ["id"]),
        ]
    }


def _list_of(member: str, item: Schema) -> Schema:
    items = {"type": "array", "items": item, "minItems": 1, "maxItems": EVENTS_PER_REQUEST_MAX}
    return {"type": "object", "required": [member], "additionalProperties": False, "properties": {member: items}}


def _json(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _many(schema: Schema) -> Schema:
    lines = {"type": "string", "description": "One JSON object a line."}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema}, "application/x-ndjson": {"schema": lines}},
    }


def _operation(name: str, summary: str, reasons: tuple[Reason, ...], body: Schema | None = None) -> dict[str, Any]:
    written = {"application/json": {"schema": {"$ref": "#/components/schemas/Written"}}}
    refused = refusals((*reasons, Reason.LOG_UNAVAILABLE))
    # Where nothing was taken the items stand in the answer, with the ids to send them again under.
    refused["503"]["content"] = written
    return {
        "operationId": name,
        "tags": ["writes"],
        "summary": summary,
        "description": "Scope `write`.",
        "parameters": [_IDEMPOTENCY_KEY],
        **({"requestBody": body} if body else {}),
        "responses": {"202": {"description": "Durable, item by item.", "content": written}, **refused},
    }
