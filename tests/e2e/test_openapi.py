"""Schemathesis reads the API's description and holds the running API to it, with good requests and bad ones.

It changes nothing that other tests count: what it writes lies in a week of 2001, and it erases and redrives nothing.
"""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from local_runtime.settings import REPOSITORY
from tests.e2e.http_client import ApiClient

SCHEMATHESIS = REPOSITORY / ".tallystream" / "venvs" / "schemathesis" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
WEEK_OF_ITS_OWN = [f"2001-02-0{day}T04:05:06.007Z" for day in range(1, 8)]
LEFT_OUT = ("erase_user", "redrive")
SECONDS_MAX = 150


@pytest.fixture
def document(stranger: ApiClient) -> dict[str, Any]:
    """As the API gives it, with times of events in a week of its own."""
    found = stranger.get("/openapi.json")
    assert found.status == 200
    schemas = found.body["components"]["schemas"]
    for schema in (schemas["Event"], schemas["Operation"]["oneOf"][0]):
        schema["properties"]["timestamp"] = {"enum": WEEK_OF_ITS_OWN}
        schema["required"] = [*schema["required"], "timestamp"]
    return dict(found.body)


@pytest.mark.parametrize(
    ("query", "known", "status"),
    [
        ({}, False, 200),
        ({}, True, 304),
        ({"asset": "app.js", "v": "of-yesterday"}, False, 200),
        ({"asset": "x"}, False, 404),
    ],
)
def test_the_page_answers_as_it_is_described(
    query: dict[str, str], known: bool, status: int, document: dict[str, Any], stranger: ApiClient
) -> None:
    tag = {"If-None-Match": stranger.get("/", **query).headers["etag"]} if known else {}
    path = f"/?{urlencode(query)}"

    answer = stranger.call("GET", path, headers=tag)

    described = document["paths"]["/"]["get"]["responses"][str(status)]
    assert answer.status == status
    assert status == 304 or answer.headers["content-type"].partition(";")[0] in described["content"]
    assert answer.reason == ("route_not_found" if status == 404 else None)


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
def test_the_api_is_what_it_says(scope: str, stack: Any, document: dict[str, Any], tmp_path: Path) -> None:
    tags = {"read": ("reads", "public"), "write": ("writes",), "admin": ("admin",)}[scope]
    key = getattr(stack.connection, f"{scope}_key")
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    command = [
        str(SCHEMATHESIS), "run", str(tmp_path / "openapi.json"), "--url", stack.connection.api_url,
        "--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS),
        *(word for tag in tags for word in ("--include-tag", tag)),
        *(word for name in LEFT_OUT for word in ("--exclude-operation-id", name)),
        "--phases", "examples,fuzzing", "--max-examples", "5", "--request-timeout", "40",
        "--seed", "20261122", "--generation-deterministic",
        "--suppress-health-check", "all", "--no-color", "--continue-on-failure",
    ]  # fmt: skip

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)

    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    operations = [each for path in document["paths"].values() for each in path.values() if "tags" in each]
    chosen = [each for each in operations if set(each["tags"]) & set(tags) and each["operationId"] not in LEFT_OUT]
    assert f"Tested: {len(chosen)}\n" in done.stdout
