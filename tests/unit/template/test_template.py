"""What `template.yaml` promises: guarantees that hang on a property of a resource, and settings that code reads."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from event_analytics import settings as function_settings
from event_analytics.erasure_run import CONSUMERS
from functions.report import app as report
from local_runtime.build import LayerTarget
from local_runtime.deploy import StackSettings, local_parameters
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY

TEMPLATE = read_template(REPOSITORY / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]


def of_type(resource_type: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == resource_type}


FUNCTIONS = of_type("AWS::Serverless::Function")
MAPPINGS = of_type("AWS::Lambda::EventSourceMapping")
LOG_GROUPS = of_type("AWS::Logs::LogGroup")
GLOBAL_ENVIRONMENT = {"LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_TRACE_DISABLED"}
# Mapping -> its topic and its consumer group.
STREAMS = {
    "LoadEventsMapping": ("events", "tallystream-load"),
    "LoadChangesMapping": ("event-changes", "tallystream-load-changes"),
    "LoadReplayMapping": ("events-replay", "tallystream-load-replay"),
    "ArchiveEventsMapping": ("events", "tallystream-archive"),
    "ArchiveChangesMapping": ("event-changes", "tallystream-archive-changes"),
}
# Mapping -> whose pollers it has. Replays wait until there is room.
POLLERS = {
    "LoadEventsMapping": "Load",
    "LoadChangesMapping": "Changes",
    "ArchiveEventsMapping": "Archive",
    "ArchiveChangesMapping": "Changes",
}
ROUTES = {
    ("POST", "/event"): "IngestFunction",
    ("POST", "/events"): "IngestFunction",
    ("POST", "/batch"): "IngestFunction",
    ("PUT", "/event/{id}"): "IngestFunction",
    ("DELETE", "/event/{id}"): "IngestFunction",
    ("GET", "/event/{id}"): "QueryFunction",
    ("GET", "/conversations/{id}/events"): "QueryFunction",
    ("GET", "/reports/top-users"): "QueryFunction",
    ("GET", "/reports/latency"): "QueryFunction",
    ("GET", "/reports/errors"): "QueryFunction",
    ("GET", "/reports/top-conversations"): "QueryFunction",
    ("GET", "/reports/volume"): "QueryFunction",
    ("POST", "/events/similar"): "QueryFunction",
    ("GET", "/openapi.json"): "QueryFunction",
    ("GET", "/reports/pipeline"): "QueryFunction",
    ("GET", "/events"): "QueryFunction",
    ("GET", "/health"): "QueryFunction",
    ("GET", "/"): "QueryFunction",
    ("GET", "/dead-letters"): "AdminFunction",
    ("GET", "/dead-letters/{id}"): "AdminFunction",
    ("POST", "/dead-letters/redrive"): "AdminFunction",
    ("DELETE", "/users/{user_id}"): "AdminFunction",
    ("GET", "/erasures/{id}"): "AdminFunction",
}
WITH_USERS = ("raw", "dead-letters", "dead-letters-redriven", "spool", "replays", "erasures", "reports")
# What may act on every resource, by the statement's Sid, and why nothing narrower will do.
WILDCARD_REASONS = {
    "PollFromVpc": "EC2's network interface and describe calls take no resource of ours",
}
GATEWAY_SECONDS_MAX = 29
KAFKA_SECONDS_MAX = 14 * 60


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_has_no_on_failure_destination_so_that_no_batch_is_skipped(name: str) -> None:
    assert "DestinationConfig" not in MAPPINGS[name]


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_reads_one_topic_from_its_start_with_options_of_on_demand_mode_only(name: str) -> None:
    mapping = MAPPINGS[name]

    assert mapping["Topics"] == [STREAMS[name][0]]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    only_when_provisioned = {
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "BisectBatchOnFunctionError",
        "FunctionResponseTypes",
    }
    assert not only_when_provisioned & mapping.keys()


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_has_pollers_of_its_own_where_some_are_set_and_replays_have_none(name: str) -> None:
    kind = POLLERS.get(name)
    if kind is None:
        assert "ProvisionedPollerConfig" not in MAPPINGS[name]
        return
    condition, given, otherwise = MAPPINGS[name]["ProvisionedPollerConfig"]["Fn::If"]

    assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{kind}PollersMin"}, "0"]}]}
    assert given == {"MinimumPollers": {"Ref": f"{kind}PollersMin"}, "MaximumPollers": {"Ref": f"{kind}PollersMax"}}
    assert otherwise == {"Ref": "AWS::NoValue"}
    # https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html
    assert (PARAMETERS[f"{kind}PollersMin"]["MaxValue"], PARAMETERS[f"{kind}PollersMax"]["MaxValue"]) == (200, 2000)


def test_every_mapping_reads_in_a_consumer_group_of_its_own() -> None:
    groups = {
        name: {
            mapping[config]["Fn::If"][1]["ConsumerGroupId"]
            for config in ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
        }
        for name, mapping in MAPPINGS.items()
    }

    assert groups == {name: {group} for name, (_, group) in STREAMS.items()}


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_exists_only_where_kafka_triggers(name: str) -> None:
    assert RESOURCES[name]["Condition"] == "HasKafkaTrigger"
    assert MAPPINGS[name]["EventSourceArn"]["Fn::If"][0] == "UseMsk"
    assert MAPPINGS[name]["SelfManagedEventSource"]["Fn::If"][0] == "UseSelfManaged"


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


def test_every_route_names_its_method_and_belongs_to_one_function() -> None:
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"]): name
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }

    assert routes == ROUTES


@pytest.mark.parametrize("name", ["ReportFunction", "ReplayFunction"])
def test_a_scheduled_function_runs_every_minute_and_one_at_a_time(name: str) -> None:
    schedule = FUNCTIONS[name]["Events"]["EveryMinute"]

    assert schedule["Properties"]["Schedule"] == "rate(1 minute)"
    assert json.loads(schedule["Properties"]["Input"])["jobs"]
    assert FUNCTIONS[name]["ReservedConcurrentExecutions"] == 1


def test_only_health_description_and_the_page_need_no_key() -> None:
    open_paths = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth") == {"Authorizer": "NONE", "ApiKeyRequired": False}
    ]
    authorization = RESOURCES["Api"]["Properties"]["Auth"]

    assert open_paths == ["/health", "/openapi.json", "/"]
    assert authorization["DefaultAuthorizer"] == "KeyAuthorizer"
    assert authorization["AddDefaultAuthorizerToCorsPreflight"] is False
    assert authorization["Authorizers"]["KeyAuthorizer"]["Identity"] == {
        "Headers": ["Authorization"],
        "ReauthorizeEvery": 60,
    }


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", 404, "route_not_found"),
        ("DEFAULT_4XX", 404, "route_not_found"),
        ("UNAUTHORIZED", 401, "key_missing"),
        ("ACCESS_DENIED", 403, "key_invalid"),
        ("INVALID_API_KEY", 403, "key_invalid"),
        ("THROTTLED", 429, "throttled"),
        ("QUOTA_EXCEEDED", 429, "quota_exceeded"),
        ("REQUEST_TOO_LARGE", 413, "body_too_large"),
        ("UNSUPPORTED_MEDIA_TYPE", 415, "unsupported_encoding"),
        ("INTEGRATION_FAILURE", 503, "function_unavailable"),
        ("INTEGRATION_TIMEOUT", 503, "function_unavailable"),
        ("DEFAULT_5XX", None, "internal_error"),
    ],
)
def test_a_refusal_of_the_gateway_looks_like_ours(response: str, status: int | None, reason: str) -> None:
    import json

    given = RESOURCES["Api"]["Properties"]["GatewayResponses"][response]
    error = json.loads(given["ResponseTemplates"]["application/json"])["error"]

    assert given.get("StatusCode") == status
    assert error["reason"] == reason
    assert error["message"]
    assert "Access-Control-Allow-Origin" in given["ResponseParameters"]["Headers"]


def test_a_caller_who_should_wait_is_told_how_long() -> None:
    responses = RESOURCES["Api"]["Properties"]["GatewayResponses"]
    waiting = {name for name, each in responses.items() if "Retry-After" in each["ResponseParameters"]["Headers"]}

    assert waiting == {"THROTTLED", "QUOTA_EXCEEDED", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "DEFAULT_5XX"}


def test_every_key_has_a_rate_and_a_quota_on_every_route_that_wants_one() -> None:
    api, plan = RESOURCES["Api"]["Properties"], RESOURCES["KeyUsagePlan"]["Properties"]

    assert plan["Throttle"] == {"RateLimit": {"Ref": "KeyRequestsPerSecond"}, "BurstLimit": {"Ref": "KeyRequestsBurst"}}
    assert plan["Quota"] == {"Limit": {"Ref": "KeyRequestsPerDay"}, "Period": "DAY"}
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
    assert api["ApiKeySourceType"] == "AUTHORIZER"
    assert api["Auth"]["ApiKeyRequired"] is True


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


def test_an_erasure_waits_for_every_mapping_and_looks_again_when_load_must_have_ended() -> None:
    assert sorted(CONSUMERS) == sorted((group, topic) for topic, group in STREAMS.values())
    assert PARAMETERS["ErasureSettleSeconds"]["Default"] == FUNCTIONS["LoadFunction"]["Timeout"]


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
