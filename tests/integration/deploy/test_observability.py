"""Alarms and dashboard on a real CloudFormation endpoint, unchanged."""

from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY
from scripts.deploy.stacks import ALARMED_FUNCTIONS
from tests.conftest import EmbeddedStack

NAME = "observability-under-test"
TEMPLATE = REPOSITORY / "infrastructure/observability.yaml"
FUNCTIONS = ALARMED_FUNCTIONS


@pytest.fixture
def cloudwatch(stack: EmbeddedStack) -> Iterator[Any]:
    session = aws_session(stack.connection.aws_endpoint)
    cloudformation = session.client("cloudformation")
    parameters = [{"ParameterKey": "StackName", "ParameterValue": NAME}]
    parameters += [{"ParameterKey": name, "ParameterValue": name} for name in FUNCTIONS]
    cloudformation.create_stack(StackName=NAME, TemplateBody=TEMPLATE.read_text("utf-8"), Parameters=parameters)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    yield session.client("cloudwatch")
    cloudformation.delete_stack(StackName=NAME)


def test_alarms_and_dashboard_deploy_unchanged(cloudwatch: Any) -> None:
    wanted = sum(each["Type"] == "AWS::CloudWatch::Alarm" for each in read_template(TEMPLATE)["Resources"].values())
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{NAME}-")
    alarms = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}

    assert len(alarms) == wanted
    erasure = alarms[f"{NAME}-erasure-late"]
    assert (erasure["Namespace"], erasure["MetricName"]) == (f"Tallystream/{NAME}", "erasure_age_seconds")
    assert (erasure["Threshold"], erasure["AlarmActions"]) == (21_600, [])
    assert "insert_ms" in cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"]
