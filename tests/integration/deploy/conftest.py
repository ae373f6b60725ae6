"""A small repository with our template and trivial functions, and a stack of its own on the embedded endpoint."""

import dataclasses
import itertools
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime.deploy import FUNCTIONS, DeployedStack, StackSettings, deploy
from local_runtime.deploy_stack import delete_stack, stack_status
from local_runtime.settings import REPOSITORY
from tests.conftest import EmbeddedStack

GOOD_KEY = "Bearer good"
ANSWERING = """
import json
print(json.dumps({"level": "INFO", "message": "called"}))
def handler(event, context):
    print(json.dumps({"level": "INFO", "message": "called"}))
    return {"statusCode": 200, "body": json.dumps({"version": 1, "event": event})}
"""
AUTHORIZING = f"""
def handler(event, context):
    print("asked")
    effect = "Allow" if event["headers"].get("authorization") == {GOOD_KEY!r} else "Deny"
    stage = "/".join(event["methodArn"].split("/")[:2]) + "/*"
    statement = {{"Action": "execute-api:Invoke", "Effect": effect, "Resource": stage}}
    return {{"principalId": "p", "policyDocument": {{"Version": "2012-10-17", "Statement": [statement]}}}}
"""
HTTP_SECONDS_MAX = 30
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclasses.dataclass
class Deployment:
    """One stack under test: its repository may be edited, its settings replaced, and both deployed again."""

    repository: Path
    settings: StackSettings
    endpoint_url: str
    cache_dir: Path
    deployed: DeployedStack | None = None

    def client(self, service: str) -> Any:
        return aws_session(self.endpoint_url).client(service)

    def deploy(self, **changed: Any) -> DeployedStack:
        self.settings = dataclasses.replace(self.settings, **changed)
        session = aws_session(self.endpoint_url)
        self.deployed = deploy(self.repository, self.endpoint_url, session, self.settings, self.cache_dir)
        return self.deployed

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.repository / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def call(self, method: str, path: str, key: str | None = None) -> Answer:
        assert self.deployed is not None
        headers = {"Authorization": key} if key else {}
        request = urllib.request.Request(self.deployed.api_url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=HTTP_SECONDS_MAX) as answer:
                return _read(answer.status, answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _read(refusal.code, refusal)


def _read(status: int, answer: Any) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status, headers, json.loads(answer.read() or b"null"))


@pytest.fixture
def deployment(stack: EmbeddedStack, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment that nobody has deployed yet; its stack and its bucket are gone afterwards."""
    shutil.copy(REPOSITORY / "template.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "layers/third_party", tmp_path / "layers/third_party")
    package = tmp_path / "layers/event_analytics/python/event_analytics"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in FUNCTIONS:
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(AUTHORIZING if name == "authorizer" else ANSWERING)
    settings = StackSettings(
        kafka_bootstrap="127.0.0.1:9092",
        clickhouse_url="http://127.0.0.1:8123",
        stream_epoch="1",
        stack_name=f"deploy-{next(_numbers)}",
    )
    given = Deployment(tmp_path, settings, stack.connection.aws_endpoint, stack.settings.build_cache_dir)
    yield given
    _remove(given)


def _remove(deployment: Deployment) -> None:
    cloudformation, s3 = deployment.client("cloudformation"), deployment.client("s3")
    name = deployment.settings.stack_name
    if stack_status(cloudformation, name) is not None:
        delete_stack(cloudformation, name)
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"].startswith(f"{name}-"):
            for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
                s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"])
            for version in s3.list_object_versions(Bucket=bucket["Name"]).get("Versions", []):
                s3.delete_object(Bucket=bucket["Name"], Key=version["Key"], VersionId=version["VersionId"])
            for marker in s3.list_object_versions(Bucket=bucket["Name"]).get("DeleteMarkers", []):
                s3.delete_object(Bucket=bucket["Name"], Key=marker["Key"], VersionId=marker["VersionId"])
            s3.delete_bucket(Bucket=bucket["Name"])
