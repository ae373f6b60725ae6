"""How long a revoked key may still work, at most: the sum of who remembers it."""

import json
from datetime import UTC, datetime

import boto3
import msgspec
import pytest
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from moto import mock_aws

from event_analytics.access import KeyRing, identify, mint_key, record_of, usage_identifier
from event_analytics.adapters.secrets_manager import (
    REREAD_SECONDS,
    REREADS_AT_ONCE,
    SECRET_AGE_SECONDS_MAX,
    SecretsManagerSource,
)
from event_analytics.errors import Refused
from event_analytics.http_exchange import answer_refused
from event_analytics.key_ring import KeyRingUnchanged, add_key, revoke_key
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY

REVOKED_SECONDS_MAX = 120
RING = KeyRing("pepper")


def test_a_revoked_key_is_dead_within_two_minutes() -> None:
    api = read_template(REPOSITORY / "template.yaml")["Resources"]["Api"]["Properties"]
    policy_seconds = api["Auth"]["Authorizers"]["KeyAuthorizer"]["Identity"]["ReauthorizeEvery"]

    assert SECRET_AGE_SECONDS_MAX + policy_seconds <= REVOKED_SECONDS_MAX


@pytest.mark.parametrize(
    ("header", "responses"),
    [(None, ["UNAUTHORIZED"]), ("Bearer tally_a_b", ["ACCESS_DENIED", "INVALID_API_KEY"])],
)
def test_the_gateway_and_a_function_refuse_a_key_in_the_same_words(header: str | None, responses: list[str]) -> None:
    given = read_template(REPOSITORY / "template.yaml")["Resources"]["Api"]["Properties"]["GatewayResponses"]
    with pytest.raises(Refused) as refused:
        identify(header, RING, datetime(2026, 1, 1, tzinfo=UTC))

    ours = answer_refused(refused.value)

    for response in responses:
        assert given[response]["StatusCode"] == ours.status
        assert json.loads(given[response]["ResponseTemplates"]["application/json"]) == json.loads(ours.body)


def test_rotation_is_a_second_key_and_then_the_end_of_the_first() -> None:
    old, ring = add_key(RING, "app-1", ["write"], b"\1" * 32)
    new, both = add_key(ring, "app-2", ["write"], b"\2" * 32)
    after = revoke_key(both, "app-1")

    assert [record.id for record in both.keys] == ["app-1", "app-2"]
    assert [record.id for record in after.keys] == ["app-2"]
    assert old != new
    with pytest.raises(KeyRingUnchanged):
        revoke_key(after, "app-1")


def test_a_usage_plan_counts_a_key_under_a_name_that_tells_nothing_of_it() -> None:
    key, ring = add_key(RING, "app-1", ["write"], b"\1" * 32)
    name = usage_identifier(ring, "app-1")

    assert 20 <= len(name) <= 128  # what API Gateway takes for a key's value
    assert name not in {key, ring.keys[0].hash}
    assert name != usage_identifier(ring, "app-2")
    assert name != usage_identifier(KeyRing("other"), "app-1")


def test_a_new_key_is_found_by_reading_again_and_wrong_keys_do_not_make_us_read_on_and_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    now = 1_000.0
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="us-east-1")
        client.create_secret(Name="ring", SecretString=msgspec.json.encode(RING).decode())
        source = SecretsManagerSource("ring", SecretsProvider(boto3_client=client), lambda: now)
        before = source.read()
        record = record_of(mint_key("k", b"\1" * 32), "pepper", ["write"])
        client.put_secret_value(
            SecretId="ring", SecretString=msgspec.json.encode(KeyRing("pepper", (record,))).decode()
        )

        assert source.read() == before
        now += REREADS_AT_ONCE * REREAD_SECONDS
        assert all('"k"' in source.reread() for _ in range(REREADS_AT_ONCE))
        client.put_secret_value(SecretId="ring", SecretString=before)
        assert '"k"' in source.reread()
        now += REREAD_SECONDS
        assert source.reread() == before
