"""What a stack says, in answers checked against AWS's own model; the real endpoint is in the end-to-end tests."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from local_runtime.kafka_trigger.mapping import MappingRefused
from local_runtime.kafka_trigger.stack import DeployedStack

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stubbed() -> tuple[DeployedStack, Stubber]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("cloudformation", region_name="us-east-1", **keys)
    stubber = Stubber(client)
    stubber.activate()
    return DeployedStack(client, "s"), stubber


def test_tells_parameter_values(stubbed: tuple[DeployedStack, Stubber]) -> None:
    stack, stubber = stubbed
    parameters = [{"ParameterKey": "Size", "ParameterValue": "9"}]
    answer = {"StackName": "s", "CreationTime": CREATED, "StackStatus": "CREATE_COMPLETE", "Parameters": parameters}
    stubber.add_response("describe_stacks", {"Stacks": [answer]}, {"StackName": "s"})

    assert stack.parameters() == {"Size": "9"}


def test_tells_physical_names(stubbed: tuple[DeployedStack, Stubber]) -> None:
    stack, stubber = stubbed
    detail = {
        "LogicalResourceId": "Load",
        "PhysicalResourceId": "s-Load-X",
        "ResourceType": "AWS::Lambda::Function",
        "LastUpdatedTimestamp": CREATED,
        "ResourceStatus": "CREATE_COMPLETE",
    }
    asked = {"StackName": "s", "LogicalResourceId": "Load"}
    stubber.add_response("describe_stack_resource", {"StackResourceDetail": detail}, asked)

    assert stack.physical_id("Load") == "s-Load-X"


def test_missing_stack_and_resource_are_named(stubbed: tuple[DeployedStack, Stubber]) -> None:
    stack, stubber = stubbed
    stubber.add_client_error("describe_stack_resource", "ValidationError")
    stubber.add_client_error("describe_stacks", "ValidationError")

    with pytest.raises(MappingRefused, match="Nothing of stack s"):
        stack.physical_id("Nothing")
    with pytest.raises(MappingRefused, match="stack s cannot be read"):
        stack.parameters()
