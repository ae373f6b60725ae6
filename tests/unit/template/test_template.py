"""What `template.yaml` promises: guarantees that hang on a property of a resource, and settings that code reads."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics import settings as function_settings
from functions.report import app as report
from local_runtime.build import LayerTarget
from local_runtime.deploy import StackSettings, local_parameters
from local_runtime.settings import REPOSITORY
from tests.unit.template.parts import FUNCTIONS, LOG_GROUPS, PARAMETERS, RESOURCES, TEMPLATE

GLOBAL_ENVIRONMENT = {"LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_TRACE_DISABLED"}
WITH_USERS = ("raw", "dead-letters", "dead-letters-redriven", "spool", "replays", "erasures", "reports")
# What may act on every resource, by the statement's Sid, and why nothing narrower will do.
WILDCARD_REASONS = {
    "PollFromVpc": "EC2's network interface and describe calls take no resource of ours",
}
GATEWAY_SECONDS_MAX = 29
KAFKA_SECONDS_MAX = 14 * 60


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_timeout_and_a_memory_of_its_own(name: str) -> None:
    behind_gateway = {"AuthorizerFunction", "IngestFunction", "QueryFunction", "AdminFunction"}
    limit = GATEWAY_SECONDS_MAX if name in behind_gateway else KAFKA_SECONDS_MAX

    assert 0 < FUNCTIONS[name]["Timeout"] <= limit
    assert FUNCTIONS[name]["MemorySize"] >= 256


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_json_into_a_log_group_that_forgets(name: str) -> None:
    logging = FUNCTIONS[name]["LoggingConfig"]

    assert logging["LogFormat"] == "JSON"
    assert LOG_GROUPS[logging["LogGroup"]["Ref"]]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def environment_of(function: str) -> set[str]:
    """Names that the function's settings read."""
    settings = getattr(function_settings, f"{function.removesuffix('Function')}Settings")
    return {function_settings._VARIABLES[field].name for field in settings.__annotations__}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_the_environment_that_its_code_reads_and_its_code_exists(name: str) -> None:
    variables = FUNCTIONS[name]["Environment"]["Variables"]
    everywhere = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    # A function may have a value of its own for what all have.
    assert set(variables) - set(everywhere) == environment_of(name) | {"POWERTOOLS_SERVICE_NAME"}
    assert set(everywhere) == GLOBAL_ENVIRONMENT
    assert (REPOSITORY / FUNCTIONS[name]["CodeUri"] / "app.py").is_file()


@pytest.mark.parametrize("name", ["ReportFunction", "ReplayFunction"])
def test_a_scheduled_function_runs_every_minute_and_one_at_a_time(name: str) -> None:
    schedule = FUNCTIONS[name]["Events"]["EveryMinute"]

    assert schedule["Properties"]["Schedule"] == "rate(1 minute)"
    assert json.loads(schedule["Properties"]["Input"])["jobs"]
    assert FUNCTIONS[name]["ReservedConcurrentExecutions"] == 1


def test_ingest_has_a_ceiling_where_one_is_set() -> None:
    assert FUNCTIONS["IngestFunction"]["ReservedConcurrentExecutions"] == {
        "Fn::If": ["LimitsIngest", {"Ref": "IngestConcurrency"}, {"Ref": "AWS::NoValue"}]
    }


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, function in FUNCTIONS.items():
        for policy in function["Policies"]:
            document = policy["Fn::If"][1] if "Fn::If" in policy else policy
            for statement in document["Statement"]:
                yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_no_function_may_act_on_everything_without_a_reason() -> None:
    broad = {statement["Sid"] for _, statement in statements() if "*" in listed(statement["Resource"])}

    assert broad == set(WILDCARD_REASONS)
    assert not [each for _, each in statements() if any(":*" in action for action in listed(each["Action"]))]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_a_function_writes_under_its_own_prefixes_only() -> None:
    written = {
        (name, resource["Fn::Sub"][0].removeprefix("arn:${AWS::Partition}:s3:::${Bucket}/"))
        for name, statement in statements()
        if "s3:PutObject" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }

    assert written == {
        ("IngestFunction", "spool/*"),
        # It erases users, so it writes wherever one may be.
        *(("ReportFunction", f"{prefix}/*") for prefix in WITH_USERS),
        ("ReplayFunction", "replays/*"),
        ("LoadFunction", "dead-letters/*"),
        ("AdminFunction", "dead-letters-redriven/*"),
        ("AdminFunction", "erasures/v1/requested/*"),
        ("ArchiveFunction", "raw/*"),
    }


def test_only_the_one_who_erases_may_remove_versions() -> None:
    removers = {
        (name, statement["Sid"]) for name, statement in statements() if "s3:DeleteObjectVersion" in statement["Action"]
    }

    assert removers == {("ReportFunction", "EraseUsers")}


def test_every_job_that_is_scheduled_is_one_that_there_is() -> None:
    events = [each["Properties"] for each in FUNCTIONS["ReportFunction"]["Events"].values()]
    scheduled = {job for each in events for job in json.loads(each["Input"])["jobs"]}

    assert scheduled == set(report.JOBS)


def test_only_functions_that_check_keys_may_read_them() -> None:
    readers = {name for name, statement in statements() if statement["Sid"] == "ReadKeys"}

    assert readers == {"AuthorizerFunction", "IngestFunction", "QueryFunction", "AdminFunction"}


def test_the_archive_bucket_outlives_its_stack_and_is_private() -> None:
    bucket = RESOURCES["ArchiveBucket"]

    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket["Properties"]
    [refusal] = RESOURCES["ArchiveBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert refusal["Effect"] == "Deny"
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("PythonRuntime", "python3.13"),
        ("Architecture", "arm64"),
        ("KafkaEventSource", "none"),
        ("KafkaSecurity", "plaintext"),
        ("KafkaDurability", "replicated"),
        ("Door", "api"),
        ("KmsKeyArn", ""),
        ("LoadPollersMin", 0),
        ("ArchivePollersMin", 0),
        ("ChangesPollersMin", 0),
        ("IngestConcurrency", 0),
        ("EventRetentionDays", 0),
        ("ArchiveRetentionDays", 0),
        ("RequestEncodings", "gzip"),
        ("LoadWindowSeconds", 1),
        ("ErasureSettleSeconds", 840),
        ("Cors", ""),
        ("ClickHouseSecretId", ""),
        ("ExistingArchiveBucket", ""),
        ("BrokerSecurityGroup", ""),
        ("LogRetentionDays", 30),
        ("LogLevel", "INFO"),
    ],
)
def test_a_parameter_has_its_documented_default(parameter: str, default: object) -> None:
    assert PARAMETERS[parameter]["Default"] == default


def test_every_parameter_can_be_left_out_and_obeys_its_own_pattern() -> None:
    for name, parameter in PARAMETERS.items():
        default = str(parameter["Default"])
        assert re.search(parameter.get("AllowedPattern", ""), default), name
        assert default in map(str, parameter.get("AllowedValues", [default])), name


def test_the_local_parameters_are_parameters_of_the_template() -> None:
    settings = StackSettings("127.0.0.1:9092", "http://127.0.0.1:8123", "boot-1")

    given = local_parameters(settings, LayerTarget.for_this_host())

    assert given.keys() <= PARAMETERS.keys()
    for name, value in given.items():
        assert re.search(PARAMETERS[name].get("AllowedPattern", ""), value), name
        assert value in map(str, PARAMETERS[name].get("AllowedValues", [value])), name


def test_no_function_is_traced_where_nobody_pays_for_traces() -> None:
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_TRACE_DISABLED"] == "true"
    assert "Tracing" not in TEMPLATE["Globals"]["Function"]


def test_the_template_uses_no_yaml_that_cloudformation_does_not_read() -> None:
    text = (REPOSITORY / "template.yaml").read_text(encoding="utf-8")

    assert not re.search(r"(?m)(?:^|[\s:-])[&*][A-Za-z_]\w*\s*$", text), "CloudFormation reads no aliases"
