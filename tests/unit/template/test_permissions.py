"""A function may do what its adapters call, and nothing else; who is invoked how may fail how."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY

from .reach import calls_of_port, method_code

ADAPTERS = REPOSITORY / "layers/event_analytics/python/event_analytics/adapters"
RESOURCES: dict[str, dict[str, Any]] = read_template(REPOSITORY / "template.yaml")["Resources"]
FUNCTIONS = {
    name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"
}
MAPPED = {
    each["Properties"]["FunctionName"]["Ref"]
    for each in RESOURCES.values()
    if each["Type"] == "AWS::Lambda::EventSourceMapping"
}
# boto3's method -> what IAM calls it, of an object as it is now and of a version of it.
# A missing object is only then said to be missing, and not forbidden, if the bucket may be listed.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
BOTO3_ACTIONS = {
    "put_object": ({"s3:PutObject"}, set()),
    "get_object": ({"s3:GetObject", "s3:ListBucket"}, {"s3:GetObjectVersion", "s3:ListBucketVersions"}),
    "delete_object": ({"s3:DeleteObject"}, {"s3:DeleteObjectVersion"}),
    "list_objects_v2": ({"s3:ListBucket"}, set()),
    "list_object_versions": ({"s3:ListBucketVersions"}, set()),
    "publish": ({"sns:Publish"}, set()),
}
# Adapter over boto3 -> its class, and the ports that it stands behind.
BOTO3_ADAPTERS = {
    "s3_object_store": ("S3ObjectStore", {"ObjectStore", "ErasableStore"}),
    "sns_notices": ("SnsNotices", {"Notices"}),
}
# https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control-use-cases.html
KAFKA_ACTIONS = {
    "kafka_event_log": {"Connect", "DescribeCluster", "DescribeTopic", "WriteData", "WriteDataIdempotently"},
    "kafka_topic_offsets": {"Connect", "DescribeTopic", "DescribeGroup", "ReadData"},
    "kafka_topics": {
        "Connect",
        "DescribeCluster",
        "DescribeTopic",
        "CreateTopic",
        "DescribeTopicDynamicConfiguration",
        "AlterTopicDynamicConfiguration",
    },
}
# What Lambda itself needs to poll for the function, in the function's name.
# https://docs.aws.amazon.com/lambda/latest/dg/with-msk-permissions.html
POLLER_ACTIONS = {
    "kafka:DescribeCluster",
    "kafka:DescribeClusterV2",
    "kafka:GetBootstrapBrokers",
    "kafka-cluster:Connect",
    "kafka-cluster:DescribeClusterDynamicConfiguration",
    "kafka-cluster:DescribeTopic",
    "kafka-cluster:ReadData",
    "kafka-cluster:DescribeGroup",
    "kafka-cluster:AlterGroup",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
}
SCHEDULED = {"ReportFunction", "ReplayFunction"}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def inside(value: Any) -> Any:
    """What stands behind a condition."""
    return value["Fn::If"][1] if "Fn::If" in value else value


def statements_of(function: str, condition: str = "") -> Iterator[dict[str, Any]]:
    """All statements, or those that stand under a condition."""
    for policy in FUNCTIONS[function]["Policies"]:
        for statement in inside(policy)["Statement"]:
            conditions = {each["Fn::If"][0] for each in (policy, statement) if "Fn::If" in each}
            if not condition or condition in conditions:
                yield inside(statement)


def adapters_of(function: str) -> set[str]:
    source = (REPOSITORY / FUNCTIONS[function]["CodeUri"] / "app.py").read_text("utf-8")
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return {
        str(node.module).rpartition(".")[2]
        for node in imports
        if str(node.module).startswith("event_analytics.adapters.")
    }


def boto3_calls_of(source: str) -> set[str]:
    called = set(
        re.findall(r"\.((?:put|get|delete|head|list|copy|create|update|upload|restore)_\w+|publish)\(", source)
    )
    return called - {"get_paginator"} | set(re.findall(r"get_paginator\(['\"](\w+)['\"]\)", source))


def boto3_actions_of(adapter: str, app: Path) -> set[str]:
    """What those methods of the adapter need that the code of the function gets to."""
    class_name, ports = BOTO3_ADAPTERS[adapter]
    methods = method_code(ADAPTERS / f"{adapter}.py", class_name)
    sources = [methods[name] for name in calls_of_port(app, ports) & methods.keys()]
    return {
        action
        for source in sources
        for call in boto3_calls_of(source)
        for action in BOTO3_ACTIONS[call]["VersionId=" in source]
    }


def actions_of(adapter: str, app: Path) -> set[str]:
    if adapter in KAFKA_ACTIONS:
        return {f"kafka-cluster:{name}" for name in KAFKA_ACTIONS[adapter]}
    if adapter == "secrets_manager":
        return {"secretsmanager:GetSecretValue"}
    return boto3_actions_of(adapter, app) if adapter in BOTO3_ADAPTERS else set()


@pytest.mark.parametrize("adapter", BOTO3_ADAPTERS)
def test_every_call_of_boto3_has_its_action_in_the_table(adapter: str) -> None:
    calls = boto3_calls_of((ADAPTERS / f"{adapter}.py").read_text("utf-8"))

    assert calls
    assert calls <= BOTO3_ACTIONS.keys()


def test_every_adapter_that_calls_boto3_is_looked_at() -> None:
    calling = {file.stem for file in ADAPTERS.glob("*.py") if "boto3.client(" in file.read_text("utf-8")}

    assert calling == BOTO3_ADAPTERS.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_its_code_calls_and_nothing_else(function: str) -> None:
    """By action. Code does not tell on which prefix: `test_a_function_writes_under_its_own_prefixes_only` does."""
    app = REPOSITORY / FUNCTIONS[function]["CodeUri"] / "app.py"
    granted = {action for statement in statements_of(function) for action in listed(statement["Action"])}
    used = {action for adapter in adapters_of(function) for action in actions_of(adapter, app)}
    used |= POLLER_ACTIONS if function in MAPPED else set()

    assert granted == used


@pytest.mark.parametrize("function", FUNCTIONS)
def test_whoever_signs_for_the_brokers_may_connect_and_write_to_named_topics_only(function: str) -> None:
    signing = list(statements_of(function, "SignsForMsk"))
    actions = {action for one in signing for action in listed(one["Action"])}
    resources = [resource for one in signing for resource in listed(one["Resource"])]

    assert "kafka-cluster:Connect" in actions or not any("kafka" in adapter for adapter in adapters_of(function))
    assert not [each for each in resources if "*" in str(each)]
    assert not any(action.endswith("*") for action in actions)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_who_is_invoked_by_a_schedule_has_a_place_for_failed_runs(function: str) -> None:
    config = FUNCTIONS[function].get("EventInvokeConfig", {})
    schedules = {each["Type"] for each in FUNCTIONS[function].get("Events", {}).values()}

    assert ("Schedule" in schedules) is (function in SCHEDULED) is bool(config)
    if config:
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedRuns", "Arn"]}
    assert "DeadLetterQueue" not in FUNCTIONS[function]


def test_functions_that_reach_brokers_or_clickhouse_stand_in_the_vpc_and_no_other() -> None:
    inside_vpc = {name for name, each in FUNCTIONS.items() if "VpcConfig" in each}
    reaching = {
        name for name in FUNCTIONS if any("kafka" in each or "clickhouse" in each for each in adapters_of(name))
    }

    assert inside_vpc == reaching
    assert "AuthorizerFunction" not in inside_vpc


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_secret_stands_in_an_environment(function: str) -> None:
    variables = FUNCTIONS[function]["Environment"]["Variables"]

    assert not [name for name in variables if re.search(r"PASSWORD|TOKEN|_KEY$|CREDENTIAL", name)]
    assert "resolve:secretsmanager" not in str(variables)
