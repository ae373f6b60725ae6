"""`KeySource`: the fake, Powertools under moto and on the embedded endpoint give a ring that knows its keys."""

from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from moto import mock_aws

from event_analytics.access import identify, read_key_ring
from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.secrets_manager import SecretsManagerSource
from event_analytics.ports import KeySource
from tests.fakes import FakeKeySource

SECRET_ID = "contract-test-keys"


@pytest.fixture(params=["fake", "moto", "endpoint"])
def source_and_key(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KeySource, str]]:
    fake = FakeKeySource()
    if request.param == "fake":
        yield fake, fake.write_key
    elif request.param == "moto":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        with mock_aws():
            client = boto3.client("secretsmanager", region_name="us-east-1")
            client.create_secret(Name=SECRET_ID, SecretString=fake.secret)
            yield SecretsManagerSource(SECRET_ID, SecretsProvider(boto3_client=client)), fake.write_key
    else:
        connection = request.getfixturevalue("stack").connection
        client = aws_session(connection.aws_endpoint).client("secretsmanager")
        client.create_secret(Name=SECRET_ID, SecretString=fake.secret)
        yield SecretsManagerSource(SECRET_ID, SecretsProvider(boto3_client=client)), fake.write_key
        client.delete_secret(SecretId=SECRET_ID, ForceDeleteWithoutRecovery=True)


def test_the_secret_names_the_caller_of_its_key(source_and_key: tuple[KeySource, str]) -> None:
    source, key = source_and_key

    caller = identify(f"Bearer {key}", read_key_ring(source.read()), datetime.now(UTC))

    assert (caller.key_id, caller.scopes) == ("write", {"write"})
