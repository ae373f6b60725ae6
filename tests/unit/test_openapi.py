"""The API's description holds what the API has: its routes, its event, its reasons."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from event_analytics.dashboard_site import CONTENT_TYPES
from event_analytics.errors import Reason, status_of
from event_analytics.openapi.document import answer_document, build_document
from event_analytics.questions.catalog import QUESTIONS
from local_runtime.sam_template import read_template

ROOT = Path(__file__).parents[2]
DOCUMENT = build_document()
METHODS = ("get", "post", "put", "delete")
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method in METHODS
]


GATEWAY_RESPONSES = read_template(ROOT / "template.yaml")["Resources"]["Api"]["Properties"]["GatewayResponses"]
# What API Gateway says of keys and of bodies; all else it may say of any route.
OF_KEYS = {"UNAUTHORIZED", "ACCESS_DENIED", "INVALID_API_KEY", "QUOTA_EXCEEDED", "MISSING_AUTHENTICATION_TOKEN"}
OF_BODIES = {"REQUEST_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"}


def operation_id(value: object) -> str:
    return value["operationId"] if isinstance(value, dict) else ""


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_route_of_the_template_is_described_and_no_other() -> None:
    functions = read_template(ROOT / "template.yaml")["Resources"].values()
    events = [event for each in functions for event in each.get("Properties", {}).get("Events", {}).values()]
    routes = {(e["Properties"]["Method"], e["Properties"]["Path"]) for e in events if e["Type"] == "Api"}

    assert {(method, path) for method, path, _ in OPERATIONS} == routes


def test_what_needs_no_key_is_what_the_template_leaves_open() -> None:
    functions = read_template(ROOT / "template.yaml")["Resources"].values()
    events = [
        event["Properties"] for each in functions for event in each.get("Properties", {}).get("Events", {}).values()
    ]
    is_open = {event["Path"] for event in events if event.get("Auth", {}).get("Authorizer") == "NONE"}

    assert {path for _, path, operation in OPERATIONS if operation.get("security") == []} == is_open


def test_an_event_is_that_of_the_schema() -> None:
    """One truth for server, SDK and documents."""
    schema = json.loads((ROOT / "schema" / "event.v1.json").read_text("utf-8"))
    embeddings = schema.pop("$defs")["embeddings"]
    fields = {name: embeddings if "$ref" in field else field for name, field in schema.pop("properties").items()}
    event = dict(DOCUMENT["components"]["schemas"]["Event"])

    assert event.pop("properties") == fields
    same = ("type", "required", "anyOf", "additionalProperties", "description")
    assert {name: event[name] for name in same} == {name: schema[name] for name in same}


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}

    assert references(DOCUMENT) <= known
    assert known - references(DOCUMENT) == set()


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=operation_id)
def test_an_operation_says_what_it_does_and_how_it_refuses(method: str, path: str, operation: dict[str, Any]) -> None:
    named = {
        (int(status), reason)
        for status, response in operation["responses"].items()
        for reason in re.findall(r"`(\w+)`", response["description"])
    }

    assert operation["summary"].endswith(".")
    assert {status for status, reason in named} == {status_of(Reason(reason)) for _, reason in named}
    assert operation.get("security") == [] or {reason for _, reason in named} >= {"key_missing", "scope_missing"}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=operation_id)
def test_an_operation_says_what_the_gateway_answers_in_place_of_a_function(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    left_out = (OF_KEYS if operation.get("security") == [] else set()) | (
        set() if "requestBody" in operation else OF_BODIES
    )
    for name in GATEWAY_RESPONSES.keys() - left_out:
        given = GATEWAY_RESPONSES[name]
        reason = json.loads(given["ResponseTemplates"]["application/json"])["error"]["reason"]
        response = operation["responses"][str(given.get("StatusCode", status_of(Reason(reason))))]
        headers = {each for each in given["ResponseParameters"]["Headers"] if not each.startswith("Access-Control")}

        assert f"`{reason}`" in response["description"], name
        assert headers <= set(response.get("headers", {})), name


def test_the_page_says_what_it_takes_and_that_it_may_be_known() -> None:
    page = DOCUMENT["paths"]["/"]["get"]

    assert {each["name"] for each in page["parameters"]} == {"asset", "v", "If-None-Match"}
    assert {"200", "304", "404"} <= page["responses"].keys()
    assert set(page["responses"]["200"]["content"]) == {each.partition(";")[0] for each in CONTENT_TYPES.values()}


def test_every_reason_is_named_by_an_operation() -> None:
    described = " ".join(
        response["description"] for _, _, operation in OPERATIONS for response in operation["responses"].values()
    )
    of_items_only = {Reason.OPERATION_INVALID}

    assert {reason for reason in Reason if f"`{reason}`" not in described} == of_items_only


def test_every_parameter_of_a_question_is_described() -> None:
    for question in QUESTIONS:
        operation = DOCUMENT["paths"][question.route][question.method.lower()]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        described = [each["name"] for each in operation.get("parameters", [])] + list(body.get("properties", {}))

        named = {parameter.name.rstrip(".") for parameter in question.parameters}
        assert set(described) - {"id"} == named - {"id"}


def test_anybody_gets_it_and_may_keep_it_a_while() -> None:
    answer = answer_document()

    assert json.loads(answer.body) == DOCUMENT
    assert answer.headers["Cache-Control"] == "public, max-age=300"
