"""How the steps of a deploy are carried out: what sam is told, and how long the set-up may take."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime.settings import REPOSITORY
from scripts.deploy.plan import SETUP_OUTPUT, Deploy, SetUp
from scripts.deploy.running import Runner
from scripts.deploy.stages import read_stage
from tests.unit.template.parts import FUNCTIONS

TEMPLATE = """
Parameters: {Door: {Type: String, Default: api}, Days: {Type: Number, Default: 0}}
Resources: {Nothing: {Type: "AWS::CloudFormation::WaitConditionHandle"}}
"""


@dataclass
class OneStack:
    """A session whose CloudFormation knows one stack, or none, and whose Lambda answers `{}`."""

    stack: dict[str, Any] | None
    options: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, **options: Any) -> Any:
        self.options[service] = options.get("config")
        return self

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 - AWS's name
        if self.stack is None:
            raise ClientError({"Error": {"Code": "ValidationError"}}, f"DescribeStacks {StackName}")
        return {"Stacks": [self.stack]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.stack = None

    def get_waiter(self, _name: str) -> Any:
        return self

    def wait(self, StackName: str) -> None:  # noqa: N803
        assert self.stack is None, StackName

    def invoke(self, **_: Any) -> Any:
        return {"Payload": io.BytesIO(json.dumps({"migrations": []}).encode())}


def parameters_for(session: OneStack, folder: Path, **given: str) -> list[str]:
    """What sam is told of parameters when the stack is deployed."""
    (folder / "x.yaml").write_text(TEMPLATE)
    told, sam = folder / "told", folder / "sam"
    sam.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    sam.chmod(0o755)
    Runner(read_stage(REPOSITORY, "example"), session, sam, folder, {}).run(Deploy("cache", "n", "r", "x.yaml", given))
    words = told.read_text("utf-8").splitlines()
    return words[words.index("--parameter-overrides") + 1 :] if "--parameter-overrides" in words else []


def test_a_parameter_that_nobody_names_any_more_is_not_what_an_earlier_deploy_made_it(tmp_path: Path) -> None:
    values = {"Door": "alb", "Days": "7"}
    stack = {"Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]}

    assert parameters_for(OneStack(stack), tmp_path, Days="7") == ["Days=7", "Door=api"]
    assert parameters_for(OneStack(None), tmp_path, Days="7") == ["Days=7"]


@pytest.mark.parametrize(("status", "is_kept"), [("ROLLBACK_COMPLETE", False), ("UPDATE_ROLLBACK_COMPLETE", True)])
def test_what_a_first_deploy_left_behind_when_it_failed_goes_before_the_second(
    status: str, is_kept: bool, tmp_path: Path
) -> None:
    session = OneStack({"StackStatus": status, "Parameters": [{"ParameterKey": "Days", "ParameterValue": "9"}]})

    assert parameters_for(session, tmp_path) == (["Days=0"] if is_kept else [])
    assert (session.stack is not None) is is_kept


def test_the_set_up_is_waited_for_and_invoked_once(tmp_path: Path) -> None:
    session = OneStack({"Outputs": [{"OutputKey": SETUP_OUTPUT, "OutputValue": "f"}]})
    runner = Runner(read_stage(REPOSITORY, "example"), session, Path("sam"), tmp_path, {})

    assert runner.run(SetUp("n", "r")) == "migrations: []"
    assert session.options["lambda"].read_timeout > FUNCTIONS["SetupFunction"]["Timeout"]
    assert session.options["lambda"].retries["total_max_attempts"] == 1
