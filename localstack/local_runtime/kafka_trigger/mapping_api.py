"""Lambda's API for event source mappings over the mappings that run: list, get, create, update, delete.

Pure but for the supervisor it is given: a request is a method, a path and a body, an answer a status and a document.
So the AWS command line pauses a mapping here as it does on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingOf
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local_runtime.kafka_trigger.mapping import Mapping, MappingRefused
from local_runtime.kafka_trigger.progress import DISABLED, RUNNING, STARTING, STOPPING, Progress
from local_runtime.kafka_trigger.properties import read_properties, refuse_future_start
from local_runtime.kafka_trigger.supervisor import Supervisor

PATH = "/2015-03-31/event-source-mappings"
SOURCE = "api"
STATES = {STARTING: "Creating", RUNNING: "Enabled", DISABLED: "Disabled", STOPPING: "Deleting"}
# What AWS takes at creation only.
FIXED = frozenset({"Topics", "StartingPosition", "StartingPositionTimestamp", "EventSourceArn", "Name", "UUID"})

Answer = tuple[HTTPStatus, dict[str, Any]]


class ApiError(Exception):
    """An answer that is no success, as Lambda's API words it."""

    def __init__(self, status: HTTPStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


def answer(supervisor: Supervisor, method: str, url: str, body: bytes, now_ms: int) -> Answer:
    """Return what Lambda's API would; a list may be narrowed by `FunctionName`.

    Raises:
        ApiError: the request is refused.
    """
    address = urlsplit(url)
    uuid = address.path.removeprefix(PATH).strip("/")
    try:
        if method == "GET" and not uuid:
            return HTTPStatus.OK, {"EventSourceMappings": _list(supervisor, address.query)}
        if method == "POST" and not uuid:
            return HTTPStatus.ACCEPTED, _create(supervisor, _read_body(body), now_ms)
        found = supervisor.find(uuid)
        if found is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "ResourceNotFoundException", f"no event source mapping {uuid}")
        if method == "PUT":
            return HTTPStatus.ACCEPTED, _update(supervisor, found.mapping, _read_body(body))
        if method == "DELETE":
            supervisor.remove(uuid)
            return HTTPStatus.ACCEPTED, describe(found) | {"State": "Deleting"}
        return HTTPStatus.OK, describe(found)
    except MappingRefused as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "InvalidParameterValueException", str(error)) from error


def _list(supervisor: Supervisor, query: str) -> list[dict[str, Any]]:
    wanted = parse_qs(query).get("FunctionName", [""])[0].rpartition(":")[2]
    listed = [describe(one) for one in supervisor.progress()]
    return [one for one in listed if not wanted or one["FunctionArn"].endswith(f":{wanted}")]


def describe(progress: Progress) -> dict[str, Any]:
    """Return a mapping as Lambda's API lists it: as it was given, with what the defaults make of it."""
    mapping = progress.mapping
    given = {key: value for key, value in mapping.properties.items() if key not in ("FunctionName", "Enabled", "Name")}
    # AWS tells -1 where ten retries are applied: what was set, not what is done.
    return given | {
        "UUID": mapping.uuid,
        "FunctionArn": mapping.function_arn,
        "Topics": [mapping.topic],
        "BatchSize": mapping.batch_size,
        "StartingPosition": mapping.starting_position,
        "State": STATES[progress.state],
        "LastProcessingResult": progress.last_error or ("OK" if progress.invocations else "No records processed"),
    }


def _create(supervisor: Supervisor, properties: MappingOf[str, Any], now_ms: int) -> dict[str, Any]:
    topics = properties.get("Topics") or ["none"]
    name = str(properties.get("Name") or f"{properties.get('FunctionName')}-{topics[0]}")
    mapping = read_properties(name, properties)
    refuse_future_start(mapping, now_ms)
    if supervisor.find(mapping.uuid):
        message = f"the function has a mapping for topic {mapping.topic}"
        raise ApiError(HTTPStatus.CONFLICT, "ResourceConflictException", message)
    return describe(supervisor.put(mapping, SOURCE))


def _update(supervisor: Supervisor, mapping: Mapping, changes: MappingOf[str, Any]) -> dict[str, Any]:
    if fixed := changes.keys() & FIXED:
        raise MappingRefused(f"{mapping.name}: {', '.join(sorted(fixed))} cannot be changed")
    changed = read_properties(mapping.name, {**mapping.properties, **changes})
    return describe(supervisor.put(changed, SOURCE))


def _read_body(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise MappingRefused(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MappingRefused("a JSON object is needed")
    return document
