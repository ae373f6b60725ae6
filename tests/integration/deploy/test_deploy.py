"""The template on a real CloudFormation endpoint: what is deployed, what an update changes, what a failure says."""

import json
import time

import pytest

from local_runtime.build import LayerTarget, build_third_party_layer
from local_runtime.deploy import ARTIFACTS_BUCKET, FUNCTIONS
from local_runtime.deploy_package import package_template
from local_runtime.deploy_stack import DeployFailed, apply_stack, delete_stack, read_parameters, stack_status
from tests.integration.deploy.conftest import GOOD_KEY, Deployment

DEPLOY_SECONDS_MAX = 5.0  # with a built layer; 1 s here, the rest is for a busy machine
NEW_BUCKET = "\n  Conflict:\n    Type: AWS::S3::Bucket\n    Properties: {{BucketName: {}}}\n\nOutputs:\n"


def test_a_stack_serves_within_seconds_and_a_second_deploy_changes_nothing(deployment: Deployment) -> None:
    started = time.monotonic()
    first = deployment.deploy()
    second = deployment.deploy()
    elapsed = time.monotonic() - started

    assert first == second
    assert elapsed < 2 * DEPLOY_SECONDS_MAX
    assert deployment.call("GET", "/health").status == 200


def test_the_gateway_refuses_in_our_words(deployment: Deployment) -> None:
    deployment.deploy()

    assert deployment.call("GET", "/reports/top-users").body["error"]["reason"] == "key_missing"
    assert deployment.call("GET", "/reports/top-users").status == 401
    assert deployment.call("GET", "/reports/top-users", "Bearer bad").body["error"]["reason"] == "key_invalid"
    assert deployment.call("GET", "/reports/top-users", "Bearer bad").status == 403
    for method, path in (("PUT", "/event"), ("GET", "/batch"), ("GET", "/nowhere"), ("DELETE", "/health")):
        answer = deployment.call(method, path, GOOD_KEY)
        assert (answer.status, answer.body["error"]["reason"]) == (404, "route_not_found"), (method, path)


def test_one_cached_policy_opens_every_route(deployment: Deployment) -> None:
    deployment.deploy()
    for path in ("/reports/top-users", "/reports/latency", "/event/{id}", "/conversations/{id}/events"):
        answer = deployment.call("GET", path.format(id="some-id"), GOOD_KEY)

        assert answer.status == 200, path
        assert answer.body["event"]["requestContext"]["resourcePath"] == path


@pytest.mark.parametrize(("cors", "origin"), [("", "https://cors-off.invalid"), ("https://page.example",) * 2])
def test_a_preflight_names_the_one_origin_that_may_call(deployment: Deployment, cors: str, origin: str) -> None:
    deployment.deploy(extra={"Cors": cors})

    answer = deployment.call("OPTIONS", "/events")

    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert deployment.call("POST", "/events").headers["access-control-allow-origin"] == origin


def test_too_many_requests_are_told_to_wait(deployment: Deployment) -> None:
    deployment.deploy(extra={"ThrottleRate": "1", "ThrottleBurst": "1"})

    answers = [deployment.call("GET", "/health") for _ in range(5)]

    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.body["error"]["reason"] == "throttled"
    assert refused.headers["retry-after"] == "1"


def test_an_update_brings_new_code_and_keeps_the_keys(deployment: Deployment) -> None:
    first = deployment.deploy()
    secrets = deployment.client("secretsmanager")
    ring = json.loads(secrets.get_secret_value(SecretId=first.keys_secret_id)["SecretString"])
    secrets.put_secret_value(SecretId=first.keys_secret_id, SecretString=json.dumps(ring | {"keys": ["one"]}))

    deployment.edit("functions/query/app.py", '"version": 1', '"version": 2')
    second = deployment.deploy(stream_epoch="2")

    assert deployment.call("GET", "/health").body["version"] == 2
    assert second.keys_secret_id == first.keys_secret_id
    assert len(ring["hmac_key"]) >= 64
    kept = json.loads(secrets.get_secret_value(SecretId=second.keys_secret_id)["SecretString"])
    assert kept == {"keys": ["one"], "hmac_key": ring["hmac_key"]}


def test_a_changed_route_answers_and_the_gateway_still_refuses_in_our_words(deployment: Deployment) -> None:
    deployment.deploy()

    deployment.edit("template.yaml", "Path: /health", "Path: /wellness")
    deployment.deploy()

    assert deployment.call("GET", "/wellness").status == 200
    assert deployment.call("GET", "/health").body["error"]["reason"] == "route_not_found"


def test_a_failed_update_names_the_resource_and_leaves_a_stack_that_serves(deployment: Deployment) -> None:
    deployed = deployment.deploy()
    deployment.edit("template.yaml", "\nOutputs:\n", NEW_BUCKET.format(deployed.archive_bucket))

    with pytest.raises(DeployFailed, match=r"Conflict .*already exists") as failure:
        deployment.deploy()

    assert [entry.logical_id for entry in failure.value.resources] == ["Conflict"]
    deployment.edit("template.yaml", NEW_BUCKET.format(deployed.archive_bucket), "\nOutputs:\n")
    deployment.deploy()
    assert deployment.call("GET", "/health").status == 200


def test_a_failed_first_deploy_names_the_resource_and_the_next_one_succeeds(deployment: Deployment) -> None:
    name = f"{deployment.settings.stack_name}-taken"
    deployment.client("s3").create_bucket(Bucket=name)
    deployment.edit("template.yaml", "\nOutputs:\n", NEW_BUCKET.format(name))

    with pytest.raises(DeployFailed, match=r"Conflict .*already exists"):
        deployment.deploy()

    deployment.edit("template.yaml", NEW_BUCKET.format(name), "\nOutputs:\n")
    deployment.deploy()
    assert deployment.call("GET", "/health").status == 200


def test_a_template_that_is_refused_is_an_error_with_its_reason(deployment: Deployment) -> None:
    deployment.edit("template.yaml", "AWS::SecretsManager::Secret", "AWS::SecretsManager::Secrets")

    with pytest.raises(DeployFailed, match="AWS::SecretsManager::Secrets"):
        deployment.deploy()


def test_the_archive_outlives_its_stack_and_the_next_stack_finds_it(deployment: Deployment) -> None:
    first = deployment.deploy()
    s3, cloudformation = deployment.client("s3"), deployment.client("cloudformation")
    s3.put_object(Bucket=first.archive_bucket, Key="raw/v1/kept", Body=b"kept")
    delete_stack(cloudformation, first.stack_name)
    assert stack_status(cloudformation, first.stack_name) is None

    second = deployment.deploy()
    third = deployment.deploy()

    assert first.archive_bucket == second.archive_bucket == third.archive_bucket
    parameters = read_parameters(cloudformation, first.stack_name)
    assert parameters["ExistingArchiveBucket"] == first.archive_bucket
    assert s3.get_object(Bucket=third.archive_bucket, Key="raw/v1/kept")["Body"].read() == b"kept"


def test_a_template_too_large_for_a_request_is_read_from_s3(deployment: Deployment) -> None:
    deployment.deploy()
    target = LayerTarget.for_this_host()
    requirements = deployment.repository / "layers/third_party/requirements.txt"
    layer = build_third_party_layer(requirements, target, deployment.cache_dir)
    deployment.edit("functions/query/app.py", '"version": 1', '"version": 3')
    template = package_template(deployment.repository, layer, deployment.client("s3"), ARTIFACTS_BUCKET)
    cloudformation = deployment.client("cloudformation")
    name = deployment.settings.stack_name

    by_url = template.at(deployment.endpoint_url, body_bytes_max=0)
    apply_stack(cloudformation, name, by_url, read_parameters(cloudformation, name))

    assert by_url.keys() == {"TemplateURL"}
    assert deployment.call("GET", "/health").body["version"] == 3


def test_a_function_logs_into_its_own_group_which_forgets_after_a_month(deployment: Deployment) -> None:
    name = deployment.deploy().stack_name
    deployment.call("GET", "/health")
    logs = deployment.client("logs")

    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}-")["logGroups"]
    lines = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}-query")["events"]

    assert {
        group["logGroupName"].removeprefix(f"/aws/lambda/{name}-"): group["retentionInDays"] for group in groups
    } == dict.fromkeys(FUNCTIONS, 30)
    assert '"message": "called"' in "".join(line["message"] for line in lines)


def test_both_mappings_exist_and_can_be_paused(deployment: Deployment) -> None:
    name = deployment.deploy().stack_name
    find = deployment.client("cloudformation").describe_stack_resource
    functions = deployment.client("lambda")
    for logical_id in ("LoadEventsMapping", "ArchiveEventsMapping"):
        found = find(StackName=name, LogicalResourceId=logical_id)
        uuid = found["StackResourceDetail"]["PhysicalResourceId"]

        functions.update_event_source_mapping(UUID=uuid, Enabled=False)

        assert functions.get_event_source_mapping(UUID=uuid)["State"] in {"Disabled", "Disabling"}
