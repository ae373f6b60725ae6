"""The operator's command for keys: what fails half-way may be done again, and no key lives longer than was meant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from event_analytics.access import KeyRing, read_key_ring
from event_analytics.key_ring import add_key
from scripts import keys

RING = KeyRing("pepper")
PLAN = "plan1"


class Gateway:
    """API Gateway's keys as it keeps them: no value twice, found by the beginning of a name, page by page.

    https://docs.aws.amazon.com/apigateway/latest/api/API_GetApiKeys.html
    """

    PAGE = 2

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, str]] = {}
        self.in_plan: set[str] = set()
        self.is_away = False

    def create_api_key(self, *, name: str, value: str, enabled: bool) -> dict[str, str]:
        assert enabled
        assert value not in {kept for _, kept in self.entries.values()}, "ConflictException: API Key already exists"
        key_id = f"id{len(self.entries)}-{name}"
        self.entries[key_id] = (name, value)
        return {"id": key_id}

    def create_usage_plan_key(self, *, usagePlanId: str, keyId: str, keyType: str) -> None:  # noqa: N803 - boto3's names
        assert (usagePlanId, keyType) == (PLAN, "API_KEY")
        if self.is_away:
            raise ConnectionError
        self.in_plan.add(keyId)

    def delete_api_key(self, *, apiKey: str) -> None:  # noqa: N803 - as above
        del self.entries[apiKey]
        self.in_plan.discard(apiKey)

    def get_paginator(self, operation: str) -> "Gateway":
        assert operation == "get_api_keys"
        return self

    def paginate(self, *, nameQuery: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - as above
        found = [
            {"id": key_id, "name": name} for key_id, (name, _) in self.entries.items() if name.startswith(nameQuery)
        ]
        for begin in range(0, max(len(found), 1), self.PAGE):
            yield {"items": found[begin : begin + self.PAGE]}

    def names(self) -> list[str]:
        return [self.entries[key_id][0] for key_id in sorted(self.in_plan)]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A deployment in memory: its secret, and the usage plan of its keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        secrets.create_secret(Name="ring", SecretString=msgspec.json.encode(RING).decode())
        made = Gateway()
        clients = {"secretsmanager": secrets, "apigateway": made}
        outputs = {"KeysSecretId": "ring", "KeyUsagePlanId": PLAN}
        monkeypatch.setattr(keys, "_stack_of", lambda name: (SimpleNamespace(client=clients.__getitem__), outputs))
        yield made


def ring() -> KeyRing:
    return read_key_ring(boto3.client("secretsmanager").get_secret_value(SecretId="ring")["SecretString"])


def test_a_creation_that_failed_half_way_is_done_again(gateway: Gateway) -> None:
    gateway.is_away = True
    with pytest.raises(ConnectionError):
        keys.main(["create", "app"])
    gateway.is_away = False

    assert keys.main(["create", "app"]) == 0

    assert [record.id for record in ring().keys] == ["app"]
    assert gateway.names() == [f"{PLAN}-app"]
    assert len(gateway.entries) == 1


def test_what_is_revoked_is_neither_in_the_secret_nor_in_the_plan(gateway: Gateway) -> None:
    ids = ["app-1", "app-2", "app-3", "app"]  # "app" is the beginning of all of them, and not on the first page
    for words in (*(["create", key_id] for key_id in ids), ["revoke", "app"]):
        assert keys.main(words) == 0

    assert [record.id for record in ring().keys] == ids[:3]
    assert gateway.names() == [f"{PLAN}-{key_id}" for key_id in ids[:3]]


@pytest.mark.parametrize("days", ["0", "-1", "soon"])
def test_a_life_that_is_no_number_of_days_is_refused_and_makes_no_key(gateway: Gateway, days: str) -> None:
    with pytest.raises(SystemExit) as refused:
        keys.main(["create", "app", f"--days={days}"])

    assert refused.value.code == 2
    assert ring() == RING


def test_a_key_lives_for_the_days_that_it_is_given(gateway: Gateway) -> None:
    assert keys.main(["create", "app", "--days", "1"]) == 0

    expires_at = ring().keys[0].expires_at
    assert expires_at is not None
    assert timedelta(0) < expires_at - datetime.now(UTC) <= timedelta(days=1)


def test_the_list_names_a_key_that_an_expiry_without_a_time_zone_closes(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    _, written = add_key(RING, "app", ["write"], b"\1" * 32, datetime(2999, 1, 1))  # noqa: DTZ001 - the point
    secret = msgspec.json.encode(written).decode()
    boto3.client("secretsmanager").put_secret_value(SecretId="ring", SecretString=secret)

    assert keys.main(["list"]) == 0

    assert capsys.readouterr().out == "app\twrite\trefused: its expiry 2999-01-01 00:00:00 has no time zone\n"


def test_the_record_of_a_key_does_not_show_its_hash() -> None:
    _, changed = add_key(RING, "app", ["write"], b"\1" * 32)

    assert changed.keys[0].hash not in repr(changed.keys[0]) + str(changed.keys)
    assert "app" in repr(changed.keys[0])
