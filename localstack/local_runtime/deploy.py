"""Deploys `template.yaml` to a local AWS endpoint: build, upload, create or update, wait, read the outputs.

Plain CloudFormation through boto3, so it works against every emulator. It decides what the local parameters are; the
keys and the tables of the stack are others' work. What an update leaves alone: the archive bucket, which outlives its
stack, and the secret with the keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local_runtime.build import LayerTarget, build_third_party_layer
from local_runtime.deploy_gateway import complete_gateway
from local_runtime.deploy_package import package_template
from local_runtime.deploy_stack import (
    LIVE_STATUSES,
    DeployFailed,
    apply_stack,
    read_outputs,
    read_parameters,
    stack_status,
)

__all__ = ["DeployFailed", "DeployedStack", "StackSettings", "deploy", "local_parameters"]

ARTIFACTS_BUCKET = "tallystream-artifacts"
ARCHIVE_BUCKET_PARAMETER = "ExistingArchiveBucket"
FUNCTIONS = ("authorizer", "ingest", "query", "load", "archive", "report", "replay", "admin", "setup")


class AwsSession(Protocol):
    """Gives clients for one endpoint; `event_analytics.adapters.aws_session` makes them."""

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, by AWS's name."""


@dataclass(frozen=True)
class StackSettings:
    """What the local stack's parameters are made of; `extra` overrides or adds any other by its name."""

    kafka_bootstrap: str
    clickhouse_url: str
    stream_epoch: str
    kafka_durability: str = "memory"
    stack_name: str = "tallystream"
    stage: str = "v1"
    load_window_seconds: int = 1
    archive_window_seconds: int = 2  # on AWS 30: here a person waits for the first object
    is_bundled: bool = False  # where layers are kept and not used
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeployedStack:
    """Where the stack answers. The API's id changes with its routes: never keep it across a deploy."""

    stack_name: str
    api_url: str
    archive_bucket: str
    keys_secret_id: str
    function_names: dict[str, str]


def deploy(
    repository: Path,
    endpoint_url: str,
    session: AwsSession,
    settings: StackSettings,
    cache_dir: Path,
    *,
    target: LayerTarget | None = None,
) -> DeployedStack:
    """Bring the stack on the endpoint to the state of this checkout and return where it answers.

    `target`: what the functions run on; None for this interpreter.

    Raises:
        BuildFailed: the third-party layer could not be built.
        DeployFailed: CloudFormation refused; the message names each failed resource with its reason.
    """
    target = target or LayerTarget.for_this_host()
    layer = build_third_party_layer(repository / "layers/third_party/requirements.txt", target, cache_dir)
    s3 = session.client("s3")
    template = package_template(repository, layer, s3, ARTIFACTS_BUCKET, is_bundled=settings.is_bundled)
    cloudformation = session.client("cloudformation")
    parameters = local_parameters(settings, target)
    parameters[ARCHIVE_BUCKET_PARAMETER] = _find_archive_bucket(session, cloudformation, settings.stack_name)
    apply_stack(cloudformation, settings.stack_name, template.at(endpoint_url), parameters | settings.extra)
    outputs = read_outputs(cloudformation, settings.stack_name)
    gateway = session.client("apigateway")
    complete_gateway(cloudformation, gateway, settings.stack_name, outputs["ApiId"], settings.stage)
    return _describe(endpoint_url, settings, outputs)


def local_parameters(settings: StackSettings, target: LayerTarget) -> dict[str, str]:
    """Return the template's parameters for the embedded stack; all else keeps its default."""
    return {
        "Stage": settings.stage,
        "PythonRuntime": target.runtime,
        "Architecture": target.architecture,
        # The emulator keeps the mappings and never polls them: our trigger does, and heeds when they are disabled.
        "KafkaEventSource": "self-managed",
        "KafkaBootstrap": settings.kafka_bootstrap,
        "KafkaSecurity": "plaintext",
        "KafkaDurability": settings.kafka_durability,
        # The emulator's gateway hands packed bodies on as text, which breaks them.
        "RequestEncodings": "",
        "ClickHouseUrl": settings.clickhouse_url,
        "StreamEpoch": settings.stream_epoch,
        "LoadWindowSeconds": str(settings.load_window_seconds),
        "ArchiveWindowSeconds": str(settings.archive_window_seconds),
        # No invocation takes longer here, and a person waits for the erasure to be done.
        "ErasureSettleSeconds": "5",
        # One machine is the limit here, not a bill: a load test must meet the machine's.
        "ThrottleRate": "10000",
        "ThrottleBurst": "10000",
        "KeyBytesPerSecond": "0",
    }


def _find_archive_bucket(session: AwsSession, cloudformation: Any, stack_name: str) -> str:
    """Name the bucket that an earlier stack left behind: objects outlive the emulator, stacks do not."""
    if stack_status(cloudformation, stack_name) in LIVE_STATUSES:
        # Whoever owns the bucket now goes on owning it.
        return read_parameters(cloudformation, stack_name).get(ARCHIVE_BUCKET_PARAMETER, "")
    account = session.client("sts").get_caller_identity()["Account"]
    name = f"{stack_name}-archive-{account}-{cloudformation.meta.region_name}"
    buckets = {bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]}
    return name if name in buckets else ""


def _describe(endpoint_url: str, settings: StackSettings, outputs: dict[str, str]) -> DeployedStack:
    return DeployedStack(
        stack_name=settings.stack_name,
        # This form works on every local emulator; the host-name form needs a resolver that knows *.localhost.
        api_url=f"{endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{settings.stage}",
        archive_bucket=outputs["ArchiveBucketName"],
        keys_secret_id=outputs["KeysSecretId"],
        function_names={name: outputs[f"{name.capitalize()}FunctionName"] for name in FUNCTIONS},
    )
