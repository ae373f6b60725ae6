"""What anybody may ask for without a key: the dashboard, the API's description, whether the platform answers."""

from typing import Any, Final

import msgspec

from event_analytics.dashboard_site import CONTENT_TYPES
from event_analytics.openapi.refusals import refusals_of_public

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_PUBLIC: Final[dict[str, Any]] = {"tags": ["public"], "security": []}
_TEXT: Final[Schema] = {"type": "string"}
_FILE: Final = {media_type.partition(";")[0]: {"schema": _TEXT} for media_type in CONTENT_TYPES.values()}
_KEEPING: Final = {
    "ETag": {"schema": _TEXT, "description": "Of the file; send it as If-None-Match."},
    "Cache-Control": {"schema": _TEXT, "description": "A year for what carries `v`; else it is to be asked for again."},
}


class Health(msgspec.Struct):
    """Whether the platform answers."""

    status: str
    clickhouse: str
    kafka_durability: str
    version: str
    request_encodings: list[str]


def public_paths() -> dict[str, dict[str, Any]]:
    """Operations of the query function that need no key."""
    return {
        "/": {"get": _get_page()},
        "/openapi.json": {"get": _get_description()},
        "/health": {"get": _get_health()},
    }


def public_schemas() -> dict[str, Schema]:
    """Components of their answers."""
    _, components = msgspec.json.schema_components([Health], ref_template=_REF)
    return dict(components)


def _get_page() -> dict[str, Any]:
    asset = "Name of a file of the dashboard, as the page asks for it; without it, the page."
    version = "The version of the files that the page belongs to; a file of another is not kept."
    return {
        **_PUBLIC,
        "operationId": "dashboard",
        "summary": "The dashboard, a page for people, and its files.",
        "parameters": [
            {"name": "asset", "in": "query", "description": asset, "schema": _TEXT},
            {"name": "v", "in": "query", "description": version, "schema": _TEXT},
            {"name": "If-None-Match", "in": "header", "description": "ETags that are known.", "schema": _TEXT},
        ],
        "responses": {
            "200": {"description": "The page, or the file.", "content": _FILE, "headers": _KEEPING},
            "304": {"description": "It is the one that is known.", "headers": _KEEPING},
            **refusals_of_public(),
        },
    }


def _get_description() -> dict[str, Any]:
    return {
        **_PUBLIC,
        "operationId": "openapi",
        "summary": "This document.",
        "responses": {
            "200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}},
            **refusals_of_public(),
        },
    }


def _get_health() -> dict[str, Any]:
    health = {"$ref": _REF.format(name="Health")}
    refused = refusals_of_public()
    of_gateway = refused["503"]["content"]["application/json"]["schema"]
    refused["503"]["description"] += ", or ClickHouse does not answer: then with the state."
    refused["503"]["content"] = {"application/json": {"schema": {"anyOf": [health, of_gateway]}}}
    return {
        **_PUBLIC,
        "operationId": "health",
        "summary": "Whether the platform answers.",
        "responses": {
            "200": {"description": "It does.", "content": {"application/json": {"schema": health}}},
            **refused,
        },
    }
