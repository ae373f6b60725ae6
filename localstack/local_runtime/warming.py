"""Invokes each function of a fresh stack once with nothing to do, so that the first person to call waits for no import.

A function that cannot even start is found here, by name, instead of in somebody's first request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

NO_RECORDS: Final[dict[str, Any]] = {"eventSource": "SelfManagedKafka", "records": {}}


class FunctionBroken(Exception):  # noqa: N818 - names the state
    """A function of the stack fails without having been given any work."""


def warm_up(lambda_client: Any, function_names: Mapping[str, str]) -> None:
    """Return once every function that people wait for has run. `function_names`: folder -> its name at the endpoint.

    Raises:
        FunctionBroken: with what the function said.
    """
    roles = [role for role in function_names if role in IDLE_EVENTS]
    with ThreadPoolExecutor(max_workers=len(roles)) as pool:
        list(pool.map(lambda role: _invoke(lambda_client, function_names[role], IDLE_EVENTS[role]), roles))


def _invoke(lambda_client: Any, name: str, event: Mapping[str, Any]) -> None:
    answer = lambda_client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    payload = answer["Payload"].read().decode("utf-8", "replace")
    if "FunctionError" in answer:
        raise FunctionBroken(f"{name}: {payload}")


def _request(method: str, route: str) -> dict[str, Any]:
    """A REST proxy event with the fields that Chalice reads."""
    context = {"httpMethod": method, "resourcePath": route}
    empty = ("multiValueQueryStringParameters", "queryStringParameters", "pathParameters", "stageVariables", "body")
    return {
        "requestContext": context,
        "headers": {"Authorization": "Bearer warm-up"},
        "isBase64Encoded": False,
        **dict.fromkeys(empty),
    }


# The write and the operator's call are refused for their key, which is what makes the function read the keys.
IDLE_EVENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "authorizer": {"methodArn": "arn:aws:execute-api:us-east-1:000000000000:api/v1/GET/health", "headers": {}},
    "ingest": _request("POST", "/event"),
    "query": _request("GET", "/health"),
    "load": NO_RECORDS,
    "archive": NO_RECORDS,
    "report": {"jobs": []},
    "replay": {"jobs": []},
    "admin": _request("GET", "/dead-letters"),
}
