"""The deploy that the documents describe, by their own commands: sam against the embedded endpoint."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime.settings import REPOSITORY
from scripts.bootstrap.commands import COMMANDS
from tests.conftest import EmbeddedStack

DOCUMENT = REPOSITORY / "docs" / "deploying.md"
STACKS = ("tallystream-embedded", "tallystream-embedded-observability")
COMMAND_SECONDS_MAX = 240


def documented() -> list[list[str]]:
    """The commands of the first block, without those that other tests run: setting up, and sam's own check."""
    block = re.search(r"```sh\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert block
    lines = [line for line in block[1].splitlines() if line.startswith(("make deploy", "make destroy"))]
    assert len(lines) == 4
    return [shlex.split(line) for line in lines]


def run(words: list[str], stack: EmbeddedStack, folder: Path) -> str:
    """Run `make deploy STAGE=... ARGS=...` as make does, on the stack's ports."""
    values = dict(word.split("=", 1) for word in words[2:])
    assert words[1] in {command.name for command in COMMANDS}
    direction = {"deploy": "up", "destroy": "down"}[words[1]]
    ports = {"KafkaBootstrap": stack.connection.kafka, "ClickHouseUrl": stack.connection.clickhouse_url}
    options = [word for name, value in ports.items() for word in ("--set", f"tallystream.{name}={value}")]
    program = [sys.executable, "-m", "scripts.deploy", direction, values["STAGE"], *shlex.split(values.get("ARGS", ""))]
    environment = {**os.environ, "AWS_ENDPOINT_URL": stack.connection.aws_endpoint, "HOME": str(folder)}
    done = subprocess.run(
        [*program, *options],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def names_of_stacks(cloudformation: Any, *statuses: str) -> set[str]:
    found = cloudformation.list_stacks(StackStatusFilter=list(statuses))["StackSummaries"]
    return {each["StackName"] for each in found} & set(STACKS)


def test_plan_and_change_sets_of_the_documents_run_as_they_stand(stack: EmbeddedStack, tmp_path: Path) -> None:
    plan, change_sets, _, _ = documented()
    cloudformation = aws_session(stack.connection.aws_endpoint).client("cloudformation")

    printed = run(plan, stack, tmp_path)
    made = run(change_sets, stack, tmp_path)

    assert [line.split()[0] for line in printed.splitlines()] == ["python", "sam", "aws", "sam"]
    assert "a change set, not executed" in made
    assert "left out until there is something to change" in made
    assert names_of_stacks(cloudformation, "CREATE_COMPLETE", "UPDATE_COMPLETE") == set()
    cloudformation.delete_stack(StackName=STACKS[0])


@pytest.mark.long
def test_the_commands_of_the_documents_run_as_they_stand_long(stack: EmbeddedStack, tmp_path: Path) -> None:
    _, _, deploy, destroy = documented()
    cloudformation = aws_session(stack.connection.aws_endpoint).client("cloudformation")

    told = run(deploy, stack, tmp_path)
    assert names_of_stacks(cloudformation, "CREATE_COMPLETE", "UPDATE_COMPLETE") == set(STACKS)
    assert "migrations: []" in told
    assert "topics_unlike: {}" in told

    run(destroy, stack, tmp_path)
    assert names_of_stacks(cloudformation, "CREATE_COMPLETE", "UPDATE_COMPLETE") == set()
