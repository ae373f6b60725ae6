"""Alarms and dashboard look at metrics that there are, and each alarm has its runbook."""

import json
import re
from typing import Any

import pytest

from event_analytics.metrics import SUMMED_METRICS, is_metric
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY

FOLDER = REPOSITORY / "infrastructure"
TEMPLATE = read_template(FOLDER / "observability.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
ALARMS = {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
OUTPUTS = read_template(REPOSITORY / "template.yaml")["Outputs"]
FUNCTIONS = {name.removesuffix("FunctionName").lower() for name in OUTPUTS if name.endswith("FunctionName")}
NAMESPACE = {"Fn::Sub": "Tallystream/${StackName}"}
RUNBOOKS = (REPOSITORY / "docs/operating.md").read_text("utf-8")
# Symptoms that somebody must be told of.
DEMANDED = {
    "spool_age_seconds",
    "freshness_ms",
    "load_lag_records",
    "dead_letters",
    "missing_events",
    "erasure_age_seconds",
}


def name_of(alarm: dict[str, Any]) -> str:
    return str(alarm["AlarmName"]["Fn::Sub"]).removeprefix("${StackName}-")


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=name_of)
def test_an_alarm_looks_at_a_metric_that_there_is(alarm: dict[str, Any]) -> None:
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}

    if alarm["Namespace"] == NAMESPACE and alarm["MetricName"] in SUMMED_METRICS:
        assert is_metric(alarm["MetricName"])
        assert dimensions == {}, "the sum over all functions is published without any"
    elif alarm["Namespace"] == NAMESPACE:
        assert is_metric(alarm["MetricName"])
        assert dimensions == {"function": dimensions["function"], "service": dimensions["function"]}
        assert dimensions["function"] in FUNCTIONS
    else:
        assert alarm["Namespace"] in {"AWS/Lambda", "AWS/SQS"}
    assert alarm["AlarmActions"]["Fn::If"][0] == alarm["OKActions"]["Fn::If"][0] == "HasAlarmTopic"
    assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]


def test_a_function_that_callers_wait_for_has_an_alarm_even_if_it_writes_no_line() -> None:
    """One that is killed, or does not start, publishes no metric of ours; without the authorizer no other is called."""
    watched = {
        each["Value"]["Ref"]
        for alarm in ALARMS.values()
        if alarm["Namespace"] == "AWS/Lambda" and alarm["MetricName"] == "Errors"
        for each in alarm["Dimensions"]
    }

    assert watched >= {"IngestFunctionName", "QueryFunctionName", "AuthorizerFunctionName"}


def test_the_metrics_that_tell_of_loss_and_delay_have_alarms() -> None:
    assert {alarm["MetricName"] for alarm in ALARMS.values()} >= DEMANDED


def test_each_alarm_has_its_runbook_and_each_runbook_its_alarm() -> None:
    headings = re.findall(r"^### ([a-z-]+)$", RUNBOOKS, re.MULTILINE)

    assert sorted(headings) == sorted(map(name_of, ALARMS.values()))


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=name_of)
def test_a_runbook_says_cause_check_and_remedy(alarm: dict[str, Any]) -> None:
    [text] = re.findall(rf"^### {name_of(alarm)}\n(.*?)(?=^##|\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)

    assert [part for part in ("Cause:", "Check:", "Remedy:") if part not in text] == []
    assert name_of(alarm) in alarm["AlarmDescription"]


def test_the_readme_counts_the_alarms_that_there_are() -> None:
    assert f"{len(ALARMS)} alarms have a runbook each" in (REPOSITORY / "README.md").read_text("utf-8")


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    body = json.loads(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    shown = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]

    assert len(body["widgets"]) > 10
    for namespace, name, *dimensions in shown:
        assert namespace == NAMESPACE["Fn::Sub"]
        assert is_metric(name), name
        assert dict(zip(dimensions[::2], dimensions[1::2], strict=True)).keys() == {"function", "service"}


def test_the_code_publishes_where_the_alarms_look() -> None:
    template = read_template(REPOSITORY / "template.yaml")
    variables = template["Globals"]["Function"]["Environment"]["Variables"]

    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Fn::Sub": "Tallystream/${AWS::StackName}"}
    assert set(TEMPLATE["Parameters"]) & set(OUTPUTS) == {
        "IngestFunctionName",
        "LoadFunctionName",
        "ArchiveFunctionName",
        "QueryFunctionName",
        "AuthorizerFunctionName",
    }
