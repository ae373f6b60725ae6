"""A canary in every secret: it stands in no line of a log, no text of an object, no answer and no environment."""

import json
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import boto3
import msgspec
import pytest
from aws_lambda_powertools.utilities import parameters
from moto import mock_aws

from event_analytics import settings
from event_analytics.access import KeyRing, mint_key, read_key_ring, record_of
from event_analytics.adapters.secrets_manager import SecretsManagerSource, read_clickhouse_login
from event_analytics.observability import InvocationLine
from functions.authorizer import app as authorizer
from functions.ingest import app as ingest
from functions.query import app as query
from local_runtime.settings import REPOSITORY
from tests.builders import ACCEPTED_US, a_request, an_event
from tests.fakes import FakeDurableLog, FakeEventStore, FakeObjectStore

CANARY = "c4n4ry0f5ecrets"
KEY = mint_key("k1", CANARY.encode().ljust(32, b"!"))
RING = KeyRing(f"{CANARY}-hmac", (record_of(KEY, f"{CANARY}-hmac", ["write"]),))
HIDDEN = (CANARY, CANARY.encode().hex(), RING.keys[0].hash)
ARN = "arn:aws:execute-api:us-east-1:123456789012:api/dev/GET/x"
NOW = datetime(2026, 9, 21, tzinfo=UTC)


class Ring:
    """A key source with the canary in it."""

    def read(self) -> str:
        return msgspec.json.encode(RING).decode()

    reread = read


def assert_silent(*texts: object) -> None:
    for text in texts:
        assert not [hidden for hidden in HIDDEN if hidden in str(text) or hidden in repr(text)], repr(text)[:200]


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        parameters.clear_caches()
        parameters.base.DEFAULT_PROVIDERS.clear()
        yield lambda name, text: str(client.create_secret(Name=name, SecretString=text)["ARN"])
        parameters.clear_caches()
        parameters.base.DEFAULT_PROVIDERS.clear()


@pytest.mark.parametrize("key", [KEY, KEY[:-1] + "0", f"tally_unknown_{CANARY}", CANARY])
def test_no_line_and_no_answer_holds_a_key_or_its_hash(key: str) -> None:
    line = InvocationLine()
    event = {"methodArn": ARN, "headers": {"authorization": f"Bearer {key}"}}

    policy = authorizer.handle(event, authorizer.Deps(Ring(), lambda: NOW), line)

    assert_silent(line.fields, line.counts, line.audit, policy)


def test_a_request_that_is_refused_or_fails_shows_no_key() -> None:
    deps = ingest.Deps(FakeDurableLog(), Ring(), lambda: ACCEPTED_US)
    line = InvocationLine()
    ingest.handle_event(a_request(an_event(), key=KEY), deps, line)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is, its text is looked at
        query.handle_pipeline(
            a_request(key=KEY), query.Deps(FakeEventStore(), FakeObjectStore(), Ring(), lambda: NOW), line
        )

    assert line.fields["key_id"] == "k1"
    assert_silent(line.fields, str(raised.value), "".join(traceback.format_exception_only(raised.value)))


def test_what_holds_secrets_does_not_show_them(secrets: Callable[[str, str], str]) -> None:
    arn = secrets("clickhouse", json.dumps({"user": "u", "password": CANARY}))
    login = read_clickhouse_login(arn)
    source = SecretsManagerSource(secrets("keys", msgspec.json.encode(RING).decode()))

    assert login.password == CANARY
    assert CANARY in source.read()
    assert_silent(login, source, RING, read_key_ring(source.read()), query.Deps)


def test_settings_name_secrets_and_hold_none(secrets: Callable[[str, str], str]) -> None:
    arn = secrets("clickhouse", json.dumps({"user": "u", "password": CANARY}))
    named = [name for name in settings._VARIABLES if "secret" in name]
    environment = {each.name: arn for each in settings._VARIABLES.values()}
    classes = [
        each for each in vars(settings).values() if isinstance(each, type) and each.__name__.endswith("Settings")
    ]

    assert sorted(named) == ["cache_secret_id", "clickhouse_secret_id", "keys_secret_id"]
    assert len(classes) > 5
    for each in classes:
        assert_silent(each.from_env(environment))


def test_no_variable_of_a_function_and_no_url_can_hold_a_password() -> None:
    from local_runtime.sam_template import read_template

    template = read_template(REPOSITORY / "template.yaml")
    text = json.dumps(template["Resources"], default=str)
    urls = {name: each["AllowedPattern"] for name, each in template["Parameters"].items() if name.endswith("Url")}

    assert "{{resolve:secretsmanager" not in text
    assert not [name for name in template["Parameters"] if "Password" in name or name.endswith("Secret")]
    assert urls
    assert all("@" in pattern for pattern in urls.values()), "a URL takes no user and password"


def test_a_failing_secrets_manager_is_an_error_without_the_secret(secrets: Callable[[str, str], str]) -> None:
    with pytest.raises(parameters.exceptions.GetParameterError) as failed:
        SecretsManagerSource("no-such-secret").read()

    assert_silent(str(failed.value))
