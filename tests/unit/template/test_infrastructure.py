"""The stacks beside `template.yaml`: that they fit together, keep what must be kept and open what must be open."""

import fnmatch
import re
from functools import lru_cache
from typing import Any

import pytest

from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY
from scripts.deploy.stacks import BUILT_TEMPLATE, STACKS, Output
from tests.unit.template.test_gateway import ROUTES

INFRASTRUCTURE = REPOSITORY / "infrastructure"


@lru_cache
def template_of(stack: str) -> dict[str, Any]:
    path = STACKS[stack].template
    return read_template(REPOSITORY / ("template.yaml" if path == BUILT_TEMPLATE else path))


CODE = template_of("tallystream")
NETWORK, STORE, STREAMING, DOOR = (template_of(name) for name in ("network", "store", "streaming", "door"))


@pytest.mark.parametrize("stack", STACKS)
def test_what_one_stack_takes_is_what_another_gives(stack: str) -> None:
    parameters = template_of(stack)["Parameters"]
    names = {
        *STACKS[stack].takes,
        *STACKS[stack].shares,
        *(name for each in STACKS[stack].given.values() for name in each),
    }

    assert names <= parameters.keys()
    for source in STACKS[stack].takes.values():
        assert list(STACKS).index(source.stack) < list(STACKS).index(stack)
        assert not isinstance(source, Output) or source.name in template_of(source.stack)["Outputs"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_needs_nothing_but_what_the_stacks_before_it_give(stack: str) -> None:
    parameters = template_of(stack)["Parameters"]
    needed = {name for name, parameter in parameters.items() if "Default" not in parameter}

    assert needed - STACKS[stack].takes.keys() <= {"CertificateArn", "StackName"}
    assert all(parameter.get("Description") for name, parameter in parameters.items() if name in needed)


@pytest.mark.parametrize(
    ("stack", "resource"),
    [
        ("store", "Key"),
        ("store", "ArchiveBucket"),
        ("store", "ArchiveBucketPolicy"),
        ("store", "ClickHouseLogin"),
        ("streaming", "Serverless"),
        ("streaming", "Provisioned"),
        ("streaming", "Configuration"),
    ],
)
def test_what_holds_state_outlives_its_stack(stack: str, resource: str) -> None:
    found = template_of(stack)["Resources"][resource]

    # Plain Retain would also keep what a failed first deploy made, and its name would stop the second.
    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert STACKS[stack].is_kept


def test_only_stacks_without_state_go_by_themselves() -> None:
    assert {name for name, kind in STACKS.items() if not kind.is_kept} == {
        "cache",
        "tallystream",
        "door",
        "observability",
    }


def test_the_subnets_reach_what_functions_and_pollers_call_and_nothing_else() -> None:
    endpoints = {
        each["Properties"]["ServiceName"]["Fn::Sub"].rpartition(".")[2]
        for each in NETWORK["Resources"].values()
        if each["Type"] == "AWS::EC2::VPCEndpoint" and "Fn::Sub" in each["Properties"]["ServiceName"]
    }
    granted = set(re.findall(r"\b(s3|secretsmanager|sns|sqs|kms|dynamodb):[A-Z]\w+", str(CODE["Resources"])))

    # Lambda's pollers call lambda and sts by the role of the function; the queue of failed runs is Lambda's own affair.
    assert endpoints == granted | {"lambda", "sts"}


def test_clickhouse_is_found_by_its_private_name_which_aws_does_not_serve() -> None:
    resources, parameters = NETWORK["Resources"], NETWORK["Parameters"]
    host = {"Ref": "ClickHouseHost"}
    entries = {"Fn::GetAtt": ["ClickHouseEndpoint", "DnsEntries"]}

    assert resources["ClickHouseEndpoint"]["Properties"]["PrivateDnsEnabled"] is False
    assert resources["ClickHouseZone"]["Properties"]["Name"] == host
    assert resources["ClickHouseName"]["Properties"]["Name"] == host
    assert str(entries) in str(resources["ClickHouseName"]["Properties"]["AliasTarget"])
    assert "ClickHouseEndpointHasItsName" in NETWORK["Rules"]
    assert re.fullmatch(parameters["ClickHouseHost"]["AllowedPattern"], "x1y2.us-west-2.vpce.aws.clickhouse.cloud")
    assert "ClickHouseEndpointId" in NETWORK["Outputs"]


def test_nobody_comes_in_but_members_of_the_group_and_callers_of_the_door() -> None:
    ingress = "AWS::EC2::SecurityGroupIngress"
    network = [each["Properties"] for each in NETWORK["Resources"].values() if each["Type"] == ingress]
    (door,) = DOOR["Resources"]["SecurityGroup"]["Properties"]["SecurityGroupIngress"]

    assert [each["SourceSecurityGroupId"] for each in network] == [{"Ref": "SecurityGroup"}]
    assert "SecurityGroupIngress" not in NETWORK["Resources"]["SecurityGroup"]["Properties"]
    assert (door["FromPort"], door["ToPort"]) == (443, 443)


def test_the_door_has_no_plain_port() -> None:
    listeners = [each for each in DOOR["Resources"].values() if each["Type"].endswith("::Listener")]

    assert [each["Properties"]["Protocol"] for each in listeners] == ["HTTPS"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_door_leads_every_route_to_its_function(method: str, path: str) -> None:
    resources = DOOR["Resources"]
    rules = sorted(
        (each["Properties"] for each in resources.values() if each["Type"].endswith("::ListenerRule")),
        key=lambda rule: rule["Priority"],
    )
    sent = re.sub(r"\{\w+\}", "some-id", path)
    rule = next((rule for rule in rules if fits(rule["Conditions"], method, sent)), None)
    actions = rule["Actions"] if rule else resources["Listener"]["Properties"]["DefaultActions"]

    assert f"{actions[0]['TargetGroupArn']['Ref']}Function" == ROUTES[(method, path)]


def fits(conditions: list[dict[str, Any]], method: str, path: str) -> bool:
    methods = [each["HttpRequestMethodConfig"]["Values"] for each in conditions if "HttpRequestMethodConfig" in each]
    (paths,) = [each["PathPatternConfig"]["Values"] for each in conditions if "PathPatternConfig" in each]
    return all(method in values for values in methods) and any(fnmatch.fnmatchcase(path, each) for each in paths)


def test_an_archive_of_its_own_stack_is_kept_and_forgotten_by_the_same_rules() -> None:
    own = CODE["Resources"]["ArchiveBucket"]["Properties"]
    apart = STORE["Resources"]["ArchiveBucket"]["Properties"]

    for name in own.keys() - {"BucketName", "BucketEncryption"}:
        assert apart[name] == own[name], name
    assert STORE["Resources"]["ArchiveBucketPolicy"] == {
        name: each for name, each in CODE["Resources"]["ArchiveBucketPolicy"].items() if name != "Condition"
    }


def test_what_rests_is_encrypted_with_the_key_of_the_store() -> None:
    (rule,) = STORE["Resources"]["ArchiveBucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    takers = {name for name, kind in STACKS.items() if "KmsKeyArn" in kind.takes}
    given = {"Fn::GetAtt": ["Key", "Arn"]}

    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": given}
    assert STORE["Resources"]["ClickHouseLogin"]["Properties"]["KmsKeyId"] == given
    assert STORE["Resources"]["Key"]["Properties"]["EnableKeyRotation"] is True
    assert takers == {"streaming", "cache", "tallystream"}
    for name in takers:
        assert "{'Ref': 'KmsKeyArn'}" in str(template_of(name)["Resources"]), name


def test_cooled_objects_can_still_be_read_by_replays_and_erasures() -> None:
    rules = STORE["Resources"]["ArchiveBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (transition,) = next(rule for rule in rules if rule["Id"] == "cool-archive")["Transitions"]

    assert transition["StorageClass"] == "GLACIER_IR"


def test_brokers_admit_signed_clients_over_tls_only() -> None:
    serverless = STREAMING["Resources"]["Serverless"]["Properties"]
    provisioned = STREAMING["Resources"]["Provisioned"]["Properties"]

    assert serverless["ClientAuthentication"] == {"Sasl": {"Iam": {"Enabled": True}}}
    assert provisioned["ClientAuthentication"]["Unauthenticated"] == {"Enabled": False}
    assert provisioned["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}
    settings = STREAMING["Resources"]["Configuration"]["Properties"]["ServerProperties"]
    assert "min.insync.replicas=2" in settings
    assert "unclean.leader.election.enable=false" in settings
    assert provisioned["ConfigurationInfo"]["Revision"] == {"Fn::GetAtt": ["Configuration", "LatestRevision.Revision"]}
    assert not re.fullmatch(STREAMING["Parameters"]["BrokerType"]["AllowedPattern"], "express.m7g.large")


def test_every_log_group_forgets() -> None:
    for path in (REPOSITORY / kind.template for kind in STACKS.values() if kind.template != BUILT_TEMPLATE):
        for name, each in read_template(path)["Resources"].items():
            assert each["Type"] != "AWS::Logs::LogGroup" or "RetentionInDays" in each["Properties"], name


def test_every_check_that_is_left_out_has_its_reason_beside_it() -> None:
    lines = (INFRASTRUCTURE / "checkov.yaml").read_text("utf-8").splitlines()
    skipped = [line for line in lines if line.strip().startswith("- CKV")]

    assert skipped
    assert all(re.fullmatch(r"  - CKV\d?_AWS_\d+ +# .{30,}", line) for line in skipped)


def test_checkov_reads_every_template() -> None:
    named = set(re.findall(r"  - (\S+\.yaml)", (INFRASTRUCTURE / "checkov.yaml").read_text("utf-8")))

    templates = {f"infrastructure/{path.name}" for path in INFRASTRUCTURE.glob("*.yaml")} - {
        "infrastructure/checkov.yaml"
    }
    assert named == templates | {"template.yaml"}


@pytest.mark.parametrize("template", [CODE, STORE])
def test_numbers_are_compared_as_the_texts_that_parameters_are(template: dict[str, Any]) -> None:
    """Whoever resolves conditions beside CloudFormation, as our trigger does, has the values as texts."""
    compared = [value for each in template["Conditions"].values() for value in equals_of(each)]

    assert compared
    assert all(isinstance(value, str | dict) for value in compared)


def equals_of(condition: Any) -> list[Any]:
    if isinstance(condition, dict):
        return list(condition.get("Fn::Equals", [])) + [part for each in condition.values() for part in equals_of(each)]
    return [part for each in condition for part in equals_of(each)] if isinstance(condition, list) else []
