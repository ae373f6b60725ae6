"""What a deployed stack says about itself: parameter values and physical names."""

from __future__ import annotations

from typing import Any

from local_runtime.kafka_trigger.mapping import MappingRefused


class DeployedStack:
    """A CloudFormation stack, read through a boto3 client."""

    def __init__(self, cloudformation: Any, name: str) -> None:
        self._client = cloudformation
        self.name = name

    def parameters(self) -> dict[str, str]:
        """Return the stack's parameter values by name.

        Raises:
            MappingRefused: there is no such stack, or no answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            stack = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        except (BotoCoreError, ClientError, IndexError) as error:
            raise MappingRefused(f"stack {self.name} cannot be read: {error}") from error
        parameters = stack.get("Parameters", [])
        return {entry["ParameterKey"]: entry.get("ParameterValue", "") for entry in parameters}

    def physical_id(self, logical_id: str) -> str:
        """Return the name a resource was given.

        Raises:
            MappingRefused: the stack has no such resource, or no answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        except (BotoCoreError, ClientError) as error:
            raise MappingRefused(f"{logical_id} of stack {self.name} cannot be read: {error}") from error
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])
