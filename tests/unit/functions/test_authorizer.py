"""Key -> policy for the whole stage."""

from datetime import UTC, datetime

from event_analytics.observability import InvocationLine
from functions.authorizer.app import Deps, handle
from tests.fakes import FakeKeySource

KEYS = FakeKeySource()
DEPS = Deps(KEYS, lambda: datetime(2026, 9, 21, tzinfo=UTC))
ARN = "arn:aws:execute-api:us-east-1:123456789012:api/dev/GET/reports/top-users"


def test_a_good_key_may_call_every_route_of_the_stage() -> None:
    policy = handle({"methodArn": ARN, "headers": {"Authorization": f"Bearer {KEYS.read_key}"}}, DEPS, InvocationLine())

    (statement,) = policy["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == (
        "Allow",
        "arn:aws:execute-api:us-east-1:123456789012:api/dev/*",
    )
    assert policy["context"] == {"key_id": "read", "scopes": "read"}


def test_any_other_key_may_call_none() -> None:
    policy = handle({"methodArn": ARN, "headers": None}, DEPS, InvocationLine())

    assert policy["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert policy["context"] == {}
