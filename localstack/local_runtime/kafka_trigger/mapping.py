"""One Kafka event source mapping, ready to run. `properties` reads it from AWS's property names."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from local_runtime.kafka_trigger.retry import Rules

BATCH_SIZE_DEFAULT = 100
# Lambda's window for Kafka when none is set; whole seconds cannot express it, so it cannot be set.
WINDOW_DEFAULT_MS = 500
MSK = "aws:kafka"
SELF_MANAGED = "SelfManagedKafka"
# Stands in the event of a mapping that plays MSK without a cluster.
LOCAL_CLUSTER_ARN = "arn:aws:kafka:us-east-1:000000000000:cluster/local/local-1"

TRIM_HORIZON, LATEST, AT_TIMESTAMP = "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"
ON_DEMAND_POLLERS = (1, 2000)  # begins with one, at most one per partition


class MappingRefused(ValueError):  # noqa: N818 - a name, not a grade
    """AWS, or this trigger, does not take the mapping; the message names mapping, property and range."""


class Destination(NamedTuple):
    """Where given up records go: `kind` is sqs, sns, s3 or kafka, `target` its ARN or the topic's name."""

    kind: str
    target: str


@dataclass(frozen=True)
class Mapping:
    """A mapping ready to run. `window_ms` counts from the first record of a batch."""

    name: str
    function: str
    topic: str
    group: str
    batch_size: int = BATCH_SIZE_DEFAULT
    window_ms: int = WINDOW_DEFAULT_MS
    starting_position: str = TRIM_HORIZON
    starting_timestamp_ms: int | None = None
    enabled: bool = True
    event_source: str = MSK
    event_source_arn: str | None = LOCAL_CLUSTER_ARN
    rules: Rules = field(default_factory=Rules)
    destination: Destination | None = None
    filters: tuple[str, ...] = ()
    pollers_min: int = ON_DEMAND_POLLERS[0]
    pollers_max: int = ON_DEMAND_POLLERS[1]
    # As they were given, for whoever lists or changes the mapping.
    properties: MappingOf[str, Any] = field(default_factory=dict, compare=False)

    @property
    def uuid(self) -> str:
        """The id by which Lambda's API knows the mapping: the name itself, or one made from it."""
        given = self.properties.get("UUID")
        return str(given or uuid5(NAMESPACE_URL, f"event-source-mapping/{self.name}"))

    @property
    def function_arn(self) -> str:
        """The function as failure records name it; a bare name becomes an ARN of the local account."""
        is_arn = self.function.startswith("arn:")
        return self.function if is_arn else f"arn:aws:lambda:us-east-1:000000000000:function:{self.function}"
