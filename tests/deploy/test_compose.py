"""`localstack/compose.yaml`, as far as it can be held to something without Docker: form, names, commands."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from event_analytics.adapters.aws_session import aws_session
from local_runtime.connection import Connection
from local_runtime.deploy_stack import delete_stack
from local_runtime.kafka_trigger.arguments import build_parser
from local_runtime.settings import REPOSITORY
from scripts import deploy_local, migrate, topics
from scripts.http_calls import HttpCaller
from tests.aws_tools import find_aws_tool
from tests.conftest import EmbeddedStack

COMPOSE_FILE = REPOSITORY / "localstack" / "compose.yaml"
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
COMPOSE: dict[str, Any] = yaml.safe_load(DEFAULT.sub(r"\1", COMPOSE_FILE.read_text("utf-8")))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLD_START_SECONDS_MAX = 60.0
ONE_SHOT = ("topics", "migrate", "deploy")
READ = "import sys, compose_spec; print(compose_spec.PyCompose.from_yaml(sys.stdin.read()).validate())"


def words_of(service: str) -> list[str]:
    """The arguments behind `python -m module`."""
    command = SERVICES[service]["command"]
    assert command[:2] == ["python", "-m"]
    return list(command[3:])


def test_the_file_is_what_the_compose_specification_takes() -> None:
    plain = yaml.safe_dump({name: each for name, each in COMPOSE.items() if not name.startswith("x-")})
    python = str(find_aws_tool("python"))

    read = subprocess.run([python, "-c", READ], input=plain, capture_output=True, text=True, check=False)
    broken = subprocess.run(
        [python, "-c", READ],
        input=plain.replace("healthcheck", "helthcheck"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert read.returncode == 0, read.stderr
    assert "helthcheck" in broken.stderr


def test_plain_docker_compose_up_finds_it() -> None:
    lines = (REPOSITORY / ".env").read_text("utf-8").splitlines()

    assert "COMPOSE_FILE=localstack/compose.yaml" in lines
    assert len([line for line in lines if line and not line.startswith("#")]) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_listens_for_other_machines_and_every_image_is_pinned(name: str) -> None:
    service = SERVICES[name]

    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert service["networks"] == ["tallystream"]
    assert "build" in service or re.search(r":v?\d[\w.-]*$", service["image"])


def test_localstack_is_the_last_that_runs_without_a_token() -> None:
    assert SERVICES["localstack"]["image"] == "localstack/localstack:4.14.0"
    assert SERVICES["localstack"]["environment"]["LAMBDA_DOCKER_NETWORK"] == COMPOSE["networks"]["tallystream"]["name"]


def test_redpanda_writes_what_it_acknowledges_as_health_says() -> None:
    command = SERVICES["redpanda"]["command"]

    # A mode for development bundles both a write cache and no fsync.
    assert not [word for word in command if word.startswith(("--mode", "--unsafe-bypass-fsync"))]


def test_services_wait_for_what_they_use_and_speak_to_it_by_name() -> None:
    for name, service in SERVICES.items():
        for awaited, how in service.get("depends_on", {}).items():
            assert awaited in SERVICES, name
            assert how["condition"] == ("service_completed_successfully" if awaited in ONE_SHOT else "service_healthy")
            assert awaited in ONE_SHOT or "healthcheck" in SERVICES[awaited], awaited
    hosts = {
        host for name in (*ONE_SHOT, "trigger") for host in re.findall(r"([a-z]+):\d{4}", " ".join(words_of(name)))
    }
    assert hosts == {"redpanda", "clickhouse", "localstack", "valkey"}


def test_every_file_that_the_image_of_the_tools_copies_is_there() -> None:
    dockerfile = (COMPOSE_FILE.parent / "tools.Dockerfile").read_text("utf-8")
    (copied,) = re.findall(r"^COPY (.*) /tools/$", dockerfile, re.MULTILINE)

    assert SERVICES["deploy"]["build"]["dockerfile"] == "localstack/tools.Dockerfile"
    assert all((REPOSITORY / name).is_file() for name in copied.split())


def test_the_tools_have_the_versions_that_the_embedded_stack_has() -> None:
    tools, embedded = (
        set((COMPOSE_FILE.parent / name).read_text("utf-8").splitlines())
        for name in ("tools.requirements.txt", "requirements.txt")
    )

    assert {line for line in tools if "==" in line} <= embedded


def test_the_trigger_takes_its_command_line() -> None:
    options = build_parser().parse_args(words_of("trigger"))

    assert (options.bootstrap_servers, options.kafka) == ("redpanda:9092", "kafka")
    assert (REPOSITORY / options.template).is_file()


def test_the_one_shot_services_make_an_api_that_answers(
    stack: EmbeddedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {
        "redpanda:9092": stack.connection.kafka,
        "http://clickhouse:8123/default": stack.connection.clickhouse_url,
        "http://localstack:4566": stack.connection.aws_endpoint,
        "http://127.0.0.1:4566": stack.connection.aws_endpoint,
        "redis://valkey:6379/0": "",
    }

    def command_of(service: str) -> list[str]:
        text = json.dumps(words_of(service))
        for name, address in here.items():
            text = text.replace(name, address)
        return list(json.loads(text))

    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(tmp_path))
    # The embedded endpoint runs this machine's Python; LocalStack runs AWS's images.
    monkeypatch.setattr(deploy_local, "target_of", lambda _: None)
    monkeypatch.setattr("sys.argv", ["migrate", *command_of("migrate")])

    assert topics.main(command_of("topics")) == 0
    assert migrate.main() == 0
    cloudformation = aws_session(stack.connection.aws_endpoint).client("cloudformation")
    try:
        assert deploy_local.main([*command_of("deploy"), "--stack-name=composed"]) == 0
        connection = Connection.read(tmp_path)
        assert connection is not None
        caller = HttpCaller(connection.api_url, timeout_seconds=COLD_START_SECONDS_MAX)
        assert caller.call("GET", "/health").status == 200
        caller.close()
    finally:
        delete_stack(cloudformation, "composed")

    printed = capsys.readouterr().out
    assert f"API: {connection.api_url}" in printed
    assert connection.kafka == "127.0.0.1:9092"
