"""Creates or updates one CloudFormation stack and waits for the end of it, whichever it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

STACK_SECONDS_MAX = 120.0  # the embedded stack takes 1 s, a container-based emulator about 30
POLL_SECONDS = 0.1  # a local endpoint: asking often costs nothing
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
# A stack that failed while it was created can only be deleted.
DEAD_STATUSES = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
COMPLETE_STATUSES = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
LIVE_STATUSES = COMPLETE_STATUSES | {"UPDATE_ROLLBACK_COMPLETE"}
# CloudFormation tells an update without a change only by this text.
NO_CHANGE_TEXT = "No updates are to be performed"
VALIDATION_ERROR = "ValidationError"
# The reason CloudFormation gives to resources that it stopped because of another's failure.
CANCELLED_TEXT = "cancelled"
STACK_TYPE = "AWS::CloudFormation::Stack"  # the stack's own events among those of its resources


@dataclass(frozen=True)
class FailedResource:
    """One resource that CloudFormation could not make, with its reason."""

    logical_id: str
    resource_type: str
    reason: str


class DeployFailed(RuntimeError):  # noqa: N818 - a name, not a grade
    """The stack did not reach its new state. `resources` are those that failed by themselves."""

    def __init__(self, stack_name: str, status: str, resources: Sequence[FailedResource]) -> None:
        lines = [f"  {entry.logical_id} ({entry.resource_type}): {entry.reason}" for entry in resources]
        super().__init__("\n".join([f"stack {stack_name} could not be deployed: {status}", *lines]))
        self.stack_name = stack_name
        self.status = status
        self.resources = tuple(resources)


def apply_stack(
    cloudformation: Any, stack_name: str, template: Mapping[str, str], parameters: Mapping[str, str]
) -> None:
    """Create the stack, or update it, and return when it is complete. No change is no error.

    Raises:
        DeployFailed: with every resource that failed and its reason.
    """
    status = stack_status(cloudformation, stack_name)
    if status in DEAD_STATUSES:
        delete_stack(cloudformation, stack_name)
        status = None
    request = {
        "StackName": stack_name,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": list(CAPABILITIES),
        **template,
    }
    try:
        cloudformation.create_stack(**request) if status is None else cloudformation.update_stack(**request)
    except ClientError as error:
        message = error.response["Error"].get("Message", "")
        if error.response["Error"]["Code"] == VALIDATION_ERROR and NO_CHANGE_TEXT in message:
            return
        raise DeployFailed(stack_name, f"refused: {message}", []) from error
    reached = _wait_for_end(cloudformation, stack_name)
    if reached not in COMPLETE_STATUSES:
        failed = _failed_resources(cloudformation, stack_name)
        raise DeployFailed(stack_name, reached or "the stack is gone", failed)


def delete_stack(cloudformation: Any, stack_name: str) -> None:
    """Delete the stack and return when it is gone. Its archive bucket and its objects stay."""
    cloudformation.delete_stack(StackName=stack_name)
    reached = _wait_for_end(cloudformation, stack_name)
    if reached is not None:
        raise DeployFailed(stack_name, reached, _failed_resources(cloudformation, stack_name))


def stack_status(cloudformation: Any, stack_name: str) -> str | None:
    """Return the stack's status, None when there is no such stack."""
    try:
        status = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        # The one error that CloudFormation has for a stack it does not know.
        if error.response["Error"]["Code"] == VALIDATION_ERROR:
            return None
        raise
    return None if status == "DELETE_COMPLETE" else str(status)


def read_outputs(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """Return the stack's outputs by name."""
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def read_parameters(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """Return the values of the stack's parameters by name, defaults included."""
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}


def _wait_for_end(cloudformation: Any, stack_name: str) -> str | None:
    deadline = time.monotonic() + STACK_SECONDS_MAX
    while True:
        status = stack_status(cloudformation, stack_name)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return status
        if time.monotonic() > deadline:
            raise DeployFailed(stack_name, f"still {status} after {STACK_SECONDS_MAX:.0f} s", [])
        time.sleep(POLL_SECONDS)


def _failed_resources(cloudformation: Any, stack_name: str) -> list[FailedResource]:
    events = [*_validation_events(cloudformation, stack_name), *_stack_events(cloudformation, stack_name)]
    failed = [
        FailedResource(event["LogicalResourceId"], event["ResourceType"], reason)
        for event in events
        if (reason := event.get("ValidationStatusReason") or event.get("ResourceStatusReason", ""))
    ]
    own = [each for each in failed if each.resource_type != STACK_TYPE and CANCELLED_TEXT not in each.reason.lower()]
    return own or failed


def _validation_events(cloudformation: Any, stack_name: str) -> list[dict[str, Any]]:
    """Return what was refused before anything was made; only this newer call tells of it."""
    try:
        events = cloudformation.describe_events(StackName=stack_name, Filters={"FailedEvents": True})["OperationEvents"]
    except ClientError:  # an endpoint that does not know the call, or the stack is gone
        return []
    # Newest first; those of earlier deploys stay in the list.
    return [event for event in events if event.get("OperationId") == events[0].get("OperationId")]


def _stack_events(cloudformation: Any, stack_name: str) -> list[dict[str, Any]]:
    """Return the failures of the newest operation."""
    try:
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    except ClientError:  # the stack is gone and its events with it
        return []
    starts = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
    newest = itertools.takewhile(
        lambda event: event["ResourceType"] != STACK_TYPE or event["ResourceStatus"] not in starts, events
    )
    return [event for event in newest if event["ResourceStatus"].endswith("_FAILED")]
