"""The whole document, and who may ask for what in it."""

from functools import lru_cache
from typing import Any, Final

import msgspec

from event_analytics.http_exchange import Answer
from event_analytics.openapi.admin import admin_paths, admin_schemas
from event_analytics.openapi.public import public_paths, public_schemas
from event_analytics.openapi.reads import read_paths, read_schemas
from event_analytics.openapi.refusals import ERROR
from event_analytics.openapi.writes import write_paths, write_schemas

API_VERSION: Final = "1.0.0"  # of this contract: the first number changes when a client would have to
_MAX_AGE_SECONDS: Final = 300
_DESCRIPTION: Final = (
    "Event analytics. Send events and changes of events; ask who is most active, what is slow, what fails, and what "
    "happened in one conversation. Every answer is exact: a count over deduplicated events. A refusal names its "
    "reason, from a closed set, and the field at fault where there is one."
)
_SECURITY: Final = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key with the scope that the operation names: write, read or admin.",
    }
}


def build_document() -> dict[str, Any]:
    """The document as a JSON object. Its server is where it was fetched from."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tallystream", "version": API_VERSION, "description": _DESCRIPTION},
        "servers": [{"url": "."}],
        "security": [{"key": []}],
        "paths": _merged(write_paths(), read_paths(), admin_paths(), public_paths()),
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {"Error": ERROR, **write_schemas(), **read_schemas(), **admin_schemas(), **public_schemas()},
        },
    }


@lru_cache(maxsize=1)
def answer_document() -> Answer:
    """The document as an answer to anybody."""
    headers = {"Content-Type": "application/json", "Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}"}
    return Answer(200, msgspec.json.encode(build_document()), headers)


def _merged(*all_paths: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Operations by path and method: one path may be written and read."""
    merged: dict[str, dict[str, Any]] = {}
    for paths in all_paths:
        for path, operations in paths.items():
            merged.setdefault(path, {}).update(operations)
    return merged
