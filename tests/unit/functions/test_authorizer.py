"""Key -> policy for the whole stage."""

from datetime import UTC, datetime

from event_analytics.access import read_key_ring, usage_identifier
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


def test_the_requests_of_a_key_count_in_the_usage_plan_under_the_name_that_was_entered_there() -> None:
    policy = handle({"methodArn": ARN, "headers": {"Authorization": f"Bearer {KEYS.read_key}"}}, DEPS, InvocationLine())

    assert policy["usageIdentifierKey"] == usage_identifier(read_key_ring(KEYS.read()), "read")


def test_any_other_key_may_call_none() -> None:
    policy = handle({"methodArn": ARN, "headers": None}, DEPS, InvocationLine())

    assert policy["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert policy["context"] == {}


def test_a_wrong_key_is_counted_and_no_other_call() -> None:
    lines = {name: InvocationLine() for name in ("Bearer tally_nobody_00", "Basic dTpw", f"Bearer {KEYS.read_key}")}
    for header, line in lines.items():
        handle({"methodArn": ARN, "headers": {"Authorization": header}}, DEPS, line)

    assert [line.counts for line in lines.values()] == [{"refused_keys": 1}, {}, {}]
