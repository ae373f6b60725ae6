"""The stacks in the order of their deployment, what each takes from those before it, and what outlives a stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Output(NamedTuple):
    """An output of another stack, by CloudFormation's name of it."""

    stack: str
    name: str


class Brokers(NamedTuple):
    """The bootstrap list of the cluster of a stack, which only the service's own API tells."""

    stack: str


Source = Output | Brokers


@dataclass(frozen=True)
class StackKind:
    """One template. `is_kept`: `make destroy` leaves it unless told otherwise.

    `takes`: parameter -> where its value comes from, if that stack is part of the stage. `given`: stack -> parameters
    that go with its presence. `shares`: parameters of the stack of the code that this one has as well.
    """

    template: str
    is_kept: bool = False
    takes: Mapping[str, Source] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shares: tuple[str, ...] = ()


BUILT_TEMPLATE: Final = ".aws-sam/build/template.yaml"  # where `sam build` leaves it
# Those of which an alarm looks at what Lambda itself says: one that is killed says nothing.
ALARMED_FUNCTIONS: Final = tuple(f"{name}FunctionName" for name in ("Ingest", "Query", "Authorizer", "Load", "Archive"))
_SUBNETS: Final = Output("network", "PrivateSubnets")
_GROUP: Final = Output("network", "SecurityGroup")
_KEY: Final = Output("store", "KmsKeyArn")

STACKS: Final[Mapping[str, StackKind]] = {
    "network": StackKind("infrastructure/network.yaml", is_kept=True),
    "store": StackKind(
        "infrastructure/store.yaml", is_kept=True, shares=("ArchiveRetentionDays", "ArchiveGlacierDays")
    ),
    "streaming": StackKind(
        "infrastructure/streaming.yaml",
        is_kept=True,
        takes={"SubnetIds": _SUBNETS, "SecurityGroupId": _GROUP, "KmsKeyArn": _KEY},
    ),
    "cache": StackKind(
        "infrastructure/cache.yaml", takes={"SubnetIds": _SUBNETS, "SecurityGroupId": _GROUP, "KmsKeyArn": _KEY}
    ),
    "tallystream": StackKind(
        BUILT_TEMPLATE,
        takes={
            "BrokerSubnets": _SUBNETS,
            "BrokerSecurityGroup": _GROUP,
            "KmsKeyArn": _KEY,
            "ExistingArchiveBucket": Output("store", "ArchiveBucketName"),
            "ClickHouseSecretId": Output("store", "ClickHouseSecretArn"),
            "MskClusterArn": Output("streaming", "MskClusterArn"),
            "KafkaBootstrap": Brokers("streaming"),
            "CacheUrl": Output("cache", "CacheUrl"),
        },
        given={
            "streaming": {"KafkaEventSource": "msk", "KafkaSecurity": "msk-iam"},
            "door": {"Door": "alb"},
        },
    ),
    "door": StackKind(
        "infrastructure/door.yaml",
        takes={
            "VpcId": Output("network", "VpcId"),
            "SubnetIds": Output("network", "PublicSubnets"),
            "IngestFunctionArn": Output("tallystream", "IngestFunctionArn"),
            "QueryFunctionArn": Output("tallystream", "QueryFunctionArn"),
            "AdminFunctionArn": Output("tallystream", "AdminFunctionArn"),
        },
    ),
    "observability": StackKind(
        "infrastructure/observability.yaml",
        takes={name: Output("tallystream", name) for name in ALARMED_FUNCTIONS},
    ),
}
