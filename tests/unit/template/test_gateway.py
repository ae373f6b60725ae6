"""The API Gateway of `template.yaml`: routes, keys, and refusals that no function makes."""

import json
import re

import pytest

from event_analytics.adapters.alb_door import PAGE_HEADERS
from event_analytics.tracing import TRACEPARENT
from local_runtime.settings import REPOSITORY
from tests.unit.template.parts import FUNCTIONS, RESOURCES

# Read, and not a page's to set: browsers forbid the one, a load balancer writes the other.
NOT_OF_PAGES = {"accept-encoding", "x-forwarded-for"}
ROUTES = {
    ("POST", "/event"): "IngestFunction",
    ("POST", "/events"): "IngestFunction",
    ("POST", "/batch"): "IngestFunction",
    ("PUT", "/event/{id}"): "IngestFunction",
    ("DELETE", "/event/{id}"): "IngestFunction",
    ("GET", "/event/{id}"): "QueryFunction",
    ("GET", "/conversations/{id}/events"): "QueryFunction",
    ("GET", "/reports/top-users"): "QueryFunction",
    ("GET", "/reports/latency"): "QueryFunction",
    ("GET", "/reports/errors"): "QueryFunction",
    ("GET", "/reports/top-conversations"): "QueryFunction",
    ("GET", "/reports/volume"): "QueryFunction",
    ("POST", "/events/similar"): "QueryFunction",
    ("GET", "/openapi.json"): "QueryFunction",
    ("GET", "/reports/pipeline"): "QueryFunction",
    ("GET", "/events"): "QueryFunction",
    ("GET", "/health"): "QueryFunction",
    ("GET", "/"): "QueryFunction",
    ("GET", "/dead-letters"): "AdminFunction",
    ("GET", "/dead-letters/{id}"): "AdminFunction",
    ("POST", "/dead-letters/redrive"): "AdminFunction",
    ("DELETE", "/users/{user_id}"): "AdminFunction",
    ("GET", "/erasures/{id}"): "AdminFunction",
}


def test_every_route_names_its_method_and_belongs_to_one_function() -> None:
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"]): name
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }

    assert routes == ROUTES


def test_only_health_description_and_the_page_need_no_key() -> None:
    open_paths = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth") == {"Authorizer": "NONE", "ApiKeyRequired": False}
    ]
    authorization = RESOURCES["Api"]["Properties"]["Auth"]

    assert open_paths == ["/health", "/openapi.json", "/"]
    assert authorization["DefaultAuthorizer"] == "KeyAuthorizer"
    assert authorization["AddDefaultAuthorizerToCorsPreflight"] is False
    assert authorization["Authorizers"]["KeyAuthorizer"]["Identity"] == {
        "Headers": ["Authorization"],
        "ReauthorizeEvery": 60,
    }


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", 404, "route_not_found"),
        ("DEFAULT_4XX", 404, "route_not_found"),
        ("UNAUTHORIZED", 401, "key_missing"),
        ("ACCESS_DENIED", 403, "key_invalid"),
        ("INVALID_API_KEY", 403, "key_invalid"),
        ("THROTTLED", 429, "throttled"),
        ("QUOTA_EXCEEDED", 429, "quota_exceeded"),
        ("REQUEST_TOO_LARGE", 413, "body_too_large"),
        ("UNSUPPORTED_MEDIA_TYPE", 415, "unsupported_encoding"),
        ("INTEGRATION_FAILURE", 503, "function_unavailable"),
        ("INTEGRATION_TIMEOUT", 503, "function_unavailable"),
        ("DEFAULT_5XX", None, "internal_error"),
    ],
)
def test_a_refusal_of_the_gateway_looks_like_ours(response: str, status: int | None, reason: str) -> None:
    given = RESOURCES["Api"]["Properties"]["GatewayResponses"][response]
    error = json.loads(given["ResponseTemplates"]["application/json"])["error"]

    assert given.get("StatusCode") == status
    assert error["reason"] == reason
    assert error["message"]
    assert "Access-Control-Allow-Origin" in given["ResponseParameters"]["Headers"]


def test_a_page_may_send_every_header_that_a_function_reads_through_either_door() -> None:
    folders = (REPOSITORY / "functions", REPOSITORY / "layers" / "event_analytics")
    sources = "".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    read = set(re.findall(r'\bheaders\.get\("([a-z-]+)"', sources)) | {TRACEPARENT}

    assert {name.lower() for name in PAGE_HEADERS} == read - NOT_OF_PAGES
    assert RESOURCES["Api"]["Properties"]["Cors"]["AllowHeaders"] == f"'{','.join(PAGE_HEADERS)}'"


def test_a_caller_who_should_wait_is_told_how_long() -> None:
    responses = RESOURCES["Api"]["Properties"]["GatewayResponses"]
    waiting = {name for name, each in responses.items() if "Retry-After" in each["ResponseParameters"]["Headers"]}

    assert waiting == {"THROTTLED", "QUOTA_EXCEEDED", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "DEFAULT_5XX"}


def test_a_changed_parameter_reaches_the_stage_that_callers_meet() -> None:
    """SAM makes a deployment by the text of the API, in which a parameter is a name whatever its value is."""
    assert RESOURCES["Api"]["Properties"]["AlwaysDeploy"] is True


def test_every_key_has_a_rate_and_a_quota_on_every_route_that_wants_one() -> None:
    api, plan = RESOURCES["Api"]["Properties"], RESOURCES["KeyUsagePlan"]["Properties"]

    assert plan["Throttle"] == {"RateLimit": {"Ref": "KeyRequestsPerSecond"}, "BurstLimit": {"Ref": "KeyRequestsBurst"}}
    assert plan["Quota"] == {"Limit": {"Ref": "KeyRequestsPerDay"}, "Period": "DAY"}
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
    assert api["ApiKeySourceType"] == "AUTHORIZER"
    assert api["Auth"]["ApiKeyRequired"] is True
