"""Carries out the steps of a plan: sam for stacks, Lambda's API for the set-up. Reads outputs as they become known."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_runtime.sam_template import read_template
from scripts.deploy.plan import (
    CODE,
    SAM,
    SETUP_OUTPUT,
    SETUP_SECONDS_MAX,
    Build,
    Delete,
    Deploy,
    SetUp,
    Step,
    command_of,
    defaults_to_restore,
)
from scripts.deploy.stacks import Output, Source
from scripts.deploy.stages import Stage
from scripts.failures import ScriptFailed

MISSING_STACK = "ValidationError"  # how CloudFormation says that it has no such stack
NEVER_MADE = "ROLLBACK_COMPLETE"  # of a stack whose first deploy failed: it holds nothing and takes no update
# One call that waits for its end: by default boto3 gives up after 60 s and invokes the function again, beside the first
# time. Keep-alive, as a NAT forgets a silent connection sooner.
SETUP_CLIENT = {"read_timeout": SETUP_SECONDS_MAX, "retries": {"total_max_attempts": 1}, "tcp_keepalive": True}


class DeployStopped(ScriptFailed):
    """A step failed. Those before it are done, and the same command goes on from there."""


class OutputMissing(DeployStopped):
    """A stack whose output is needed was not deployed, or by an older template."""


class Session(Protocol):
    """Gives boto3 clients of a region."""

    def client(self, service: str, **options: Any) -> Any:
        """The client of a service, by AWS's name; `options` are boto3's."""
        ...


class Runner:
    """One run over the steps of a stage. `sam`: its program. `environment`: what it runs with."""

    def __init__(
        self, stage: Stage, session: Session, sam: Path, repository: Path, environment: Mapping[str, str]
    ) -> None:
        self._stage = stage
        self._session = session
        self._sam = sam
        self._repository = repository
        self._environment = environment

    def run(self, step: Step) -> str:
        """Do it and return what there is to tell; "" where sam has told it itself.

        Raises:
            DeployStopped: it failed.
        """
        try:
            return self._run(step)
        except (BotoCoreError, ClientError) as error:
            raise DeployStopped(f"{type(step).__name__}: {error}") from error

    def _run(self, step: Step) -> str:
        match step:
            case Build():
                environment = self._environment if step.is_for_host else {**self._environment, **step.target}
                return self._call([SAM, "build"] if not step.is_for_host else command_of(step), environment)
            case Deploy():
                return self._deploy(step)
            case SetUp(stack_name):
                return self._set_up(stack_name)
            case Delete(_, stack_name):
                is_there = self._outputs(stack_name) is not None
                return self._call(command_of(step), self._environment) if is_there else f"{stack_name} is not there"

    def _deploy(self, step: Deploy) -> str:
        sources = {value for value in step.parameters.values() if not isinstance(value, str)}
        try:
            values = {source: self._look_up(source) for source in sources}
        except OutputMissing as missing:
            if step.is_executed:
                raise
            return f"left out until there is something to change: {missing}"
        present = self._find_stack(step.stack_name) or {}
        if present.get("StackStatus") == NEVER_MADE and step.is_executed:
            self._remove(step.stack_name)
            present = {}
        self._call(command_of(self._with_defaults(step, present), values), self._environment)
        return self._describe_outputs(step) if step.is_executed else "a change set, not executed"

    def _remove(self, stack_name: str) -> None:
        cloudformation = self._session.client("cloudformation")
        cloudformation.delete_stack(StackName=stack_name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_name)

    def _with_defaults(self, step: Deploy, present: Mapping[str, Any]) -> Deploy:
        values = {each["ParameterKey"]: each["ParameterValue"] for each in present.get("Parameters", [])}
        declared = read_template(self._repository / step.template).get("Parameters", {}) if values else {}
        return step._replace(parameters={**defaults_to_restore(declared, values, step.parameters), **step.parameters})

    def _call(self, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a program that speaks for itself."""
        words = [str(self._sam) if command[0] == SAM else sys.executable, *command[1:]]
        code = subprocess.run(words, cwd=self._repository, env=dict(environment), check=False).returncode
        if code:
            raise DeployStopped(f"`{' '.join(command[:3])}` ended with {code}; the same command goes on from here")
        return ""

    def _look_up(self, source: Source) -> str:
        outputs = self._outputs(self._stage.stack_name(source.stack)) or {}
        if isinstance(source, Output):
            if source.name not in outputs:
                raise OutputMissing(f"the stack {source.stack} has no output {source.name}")
            return outputs[source.name]
        return self._look_up_brokers(self._look_up(Output(source.stack, "MskClusterArn")))

    def _look_up_brokers(self, cluster_arn: str) -> str:
        answer = self._session.client("kafka").get_bootstrap_brokers(ClusterArn=cluster_arn)
        return str(answer["BootstrapBrokerStringSaslIam"])

    def _outputs(self, stack_name: str) -> dict[str, str] | None:
        stack = self._find_stack(stack_name)
        if stack is None:
            return None
        return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}

    def _find_stack(self, stack_name: str) -> Mapping[str, Any] | None:
        try:
            (stack,) = self._session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == MISSING_STACK:
                return None
            raise
        found: Mapping[str, Any] = stack
        return found

    def _set_up(self, stack_name: str) -> str:
        name = (self._outputs(stack_name) or {})[SETUP_OUTPUT]
        client = self._session.client("lambda", config=Config(**SETUP_CLIENT))
        answer = client.invoke(FunctionName=name, Payload=b"{}")
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise DeployStopped(f"{name}: {payload.get('errorType')}: {payload.get('errorMessage')}")
        return "\n".join(f"{part}: {json.dumps(done)}" for part, done in payload.items())

    def _describe_outputs(self, step: Deploy) -> str:
        if step.stack != CODE:
            return ""
        outputs = self._outputs(step.stack_name) or {}
        return "\n".join(f"{name} = {outputs[name]}" for name in ("ApiUrl", "ArchiveBucketName", "KeysSecretId"))
