"""What `template.yaml` promises: guarantees that hang on a property of a resource, and settings that code reads."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics import settings as function_settings
from event_analytics.adapters.clickhouse_event_store import HANGING_SECONDS_MAX
from event_analytics.ports import ANSWER_LIMITS
from functions.query import app as query
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
READS_LOGIN = ("QueryFunction", "ReadClickHouseLogin")
ANSWER_PARAMETERS = ("AnswerSecondsMax", "AnswerMemoryBytesMax", "AnswerRowsReadMax")
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


def test_no_log_level_hides_the_lines_that_carry_the_metrics() -> None:
    assert PARAMETERS["LogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]


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


@pytest.mark.parametrize("name", ["Ingest", "Query"])
def test_who_serves_callers_has_a_ceiling_where_one_is_set(name: str) -> None:
    assert FUNCTIONS[f"{name}Function"]["ReservedConcurrentExecutions"] == {
        "Fn::If": [f"Limits{name}", {"Ref": f"{name}Concurrency"}, {"Ref": "AWS::NoValue"}]
    }
    assert TEMPLATE["Conditions"][f"Limits{name}"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Concurrency"}, "0"]}]
    }


def test_limits_of_an_answer_are_by_default_those_of_the_code() -> None:
    by_template = [PARAMETERS[name]["Default"] for name in ANSWER_PARAMETERS]
    needed = dict.fromkeys(("CLICKHOUSE_URL", "KEYS_SECRET_ID", "ARCHIVE_BUCKET"), "x")

    assert query._limits_of(function_settings.QuerySettings.from_env(needed)) == ANSWER_LIMITS
    assert tuple(map(int, by_template)) == ANSWER_LIMITS
    assert PARAMETERS["AnswerSecondsMax"]["MaxValue"] < HANGING_SECONDS_MAX < FUNCTIONS["QueryFunction"]["Timeout"]


def test_questions_have_a_login_of_their_own_where_one_is_given() -> None:
    login = {"Fn::If": ["HasReaderSecret", {"Ref": "ClickHouseReaderSecretId"}, {"Ref": "ClickHouseSecretId"}]}
    others = {
        name: each["Environment"]["Variables"].get("CLICKHOUSE_SECRET_ID")
        for name, each in FUNCTIONS.items()
        if name != "QueryFunction"
    }

    assert FUNCTIONS["QueryFunction"]["Environment"]["Variables"]["CLICKHOUSE_SECRET_ID"] == login
    readable = [each["Resource"] for name, each in statements() if (name, each["Sid"]) == READS_LOGIN]
    assert readable == [login]
    assert {str(each) for each in others.values() if each} == {str({"Ref": "ClickHouseSecretId"})}


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
        ("ReportFunction", "state/*"),
        ("ReplayFunction", "replays/*"),
        ("LoadFunction", "dead-letters/*"),
        ("AdminFunction", "dead-letters-redriven/*"),
        ("AdminFunction", "erasures/v1/requested/*"),
        ("ArchiveFunction", "raw/*"),
    }


def test_query_reads_the_state_and_no_record() -> None:
    read = {
        str(statement["Resource"]["Fn::Sub"][0]).rpartition("${Bucket}")[2]
        for name, statement in statements()
        if name == "QueryFunction" and "s3:GetObject" in listed(statement["Action"])
    }

    assert read == {"/state/*"}


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

    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
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
        ("QueryConcurrency", 0),
        ("ClickHouseReaderSecretId", ""),
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
