"""One Kafka event source mapping: AWS's properties checked against AWS's ranges.

Takes plain values (`template` resolves a template's intrinsics first) and knows neither Kafka nor Lambda. What
AWS would refuse is refused here, and so is what AWS does and this trigger does not: silence would teach a lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any

# Ranges of CreateEventSourceMapping, from the service model of lambda 2015-03-31.
BATCH_SIZE_RANGE = (1, 10_000)
BATCH_SIZE_DEFAULT = 100
WINDOW_SECONDS_RANGE = (0, 300)
# Lambda's window for Kafka when none is set; whole seconds cannot express it, so it cannot be set.
WINDOW_DEFAULT_MS = 500
GROUP_ID_LENGTH_RANGE = (1, 200)
MINIMUM_POLLERS_RANGE = (1, 200)
MAXIMUM_POLLERS_RANGE = (1, 2000)
STARTING_POSITIONS = ("TRIM_HORIZON", "LATEST")

MSK = "aws:kafka"
SELF_MANAGED = "SelfManagedKafka"
# Stands in the event of a mapping that plays MSK without a cluster.
LOCAL_CLUSTER_ARN = "arn:aws:kafka:us-east-1:000000000000:cluster/local/local-1"

_SELF_MANAGED_ONLY = frozenset({"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"})
_PLAYED = _SELF_MANAGED_ONLY | {
    "Name",
    "FunctionName",
    "Topics",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "StartingPosition",
    "Enabled",
    "EventSourceArn",
    "ConsumerGroupId",
    "AmazonManagedKafkaEventSourceConfig",
    "ProvisionedPollerConfig",
}
# How Lambda reaches or reports the mapping: without meaning for one that polls from this machine.
_WITHOUT_MEANING = frozenset({"SourceAccessConfigurations", "MetricsConfig", "LoggingConfig", "KmsKeyArn", "Tags"})
# -1 is AWS's default of both, "for ever", and the one value on-demand mode offers.
_FOR_EVER = frozenset({"MaximumRetryAttempts", "MaximumRecordAgeInSeconds"})
FOR_EVER = -1


class MappingRefused(ValueError):  # noqa: N818 - a name, not a grade
    """AWS, or this trigger, does not take the mapping; the message names mapping, property and range."""


@dataclass(frozen=True)
class Mapping:
    """A mapping ready to run. `window_ms` counts from the first record of a batch."""

    name: str
    function: str
    topic: str
    group: str
    batch_size: int = BATCH_SIZE_DEFAULT
    window_ms: int = WINDOW_DEFAULT_MS
    starting_position: str = "TRIM_HORIZON"
    enabled: bool = True
    event_source: str = MSK
    event_source_arn: str | None = LOCAL_CLUSTER_ARN


def parse_mapping(text: str) -> Mapping:
    """Return the mapping of one JSON object with AWS's property names (and `Name`, `ConsumerGroupId`)."""
    try:
        properties = json.loads(text)
    except ValueError as error:
        raise MappingRefused(f"mapping: not JSON ({error})") from error
    if not isinstance(properties, dict):
        raise MappingRefused("mapping: a JSON object is needed")
    name = properties.get("Name") or f"{properties.get('FunctionName', 'mapping')}"
    return read_properties(str(name), properties)


def read_properties(name: str, properties: MappingOf[str, Any]) -> Mapping:
    """Return the mapping that these properties describe.

    Raises:
        MappingRefused: with the first property that cannot be played.
    """
    _refuse_what_is_not_played(name, properties)
    topic = _read_topic(name, properties.get("Topics"))
    function = str(properties.get("FunctionName") or "")
    if not function:
        raise MappingRefused(f"{name}: FunctionName is missing")
    size = properties.get("BatchSize", BATCH_SIZE_DEFAULT)
    is_self_managed = not _SELF_MANAGED_ONLY.isdisjoint(properties)
    return Mapping(
        name=name,
        function=function,
        topic=topic,
        group=_read_group(name, properties),
        batch_size=_read_int(name, "BatchSize", size, BATCH_SIZE_RANGE),
        window_ms=_read_window_ms(name, properties.get("MaximumBatchingWindowInSeconds")),
        starting_position=_read_start(name, properties.get("StartingPosition", "TRIM_HORIZON")),
        enabled=_read_bool(name, "Enabled", properties.get("Enabled", True)),
        event_source=SELF_MANAGED if is_self_managed else MSK,
        event_source_arn=None if is_self_managed else properties.get("EventSourceArn") or LOCAL_CLUSTER_ARN,
    )


def _refuse_what_is_not_played(name: str, properties: MappingOf[str, Any]) -> None:
    for key, value in properties.items():
        if key in _FOR_EVER:
            if value not in (FOR_EVER, str(FOR_EVER)):
                raise MappingRefused(f"{name}: {key}={value!r}: only -1 (for ever) is played locally")
        elif key not in _PLAYED and key not in _WITHOUT_MEANING:
            raise MappingRefused(f"{name}: {key} is not played locally")
    pollers = properties.get("ProvisionedPollerConfig") or {}
    for key, bounds in (("MinimumPollers", MINIMUM_POLLERS_RANGE), ("MaximumPollers", MAXIMUM_POLLERS_RANGE)):
        if key in pollers:
            _read_int(name, f"ProvisionedPollerConfig.{key}", pollers[key], bounds)


def _read_topic(name: str, value: Any) -> str:
    if not isinstance(value, list) or len(value) != 1 or not value[0]:
        raise MappingRefused(f"{name}: Topics={value!r}: exactly one topic is needed")
    return str(value[0])


def _read_window_ms(name: str, value: Any) -> int:
    if value is None:
        return WINDOW_DEFAULT_MS
    return 1000 * _read_int(name, "MaximumBatchingWindowInSeconds", value, WINDOW_SECONDS_RANGE)


def _read_group(name: str, properties: MappingOf[str, Any]) -> str:
    configs = ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
    nested = [properties[key].get("ConsumerGroupId") for key in configs if properties.get(key)]
    # AWS makes a unique group where none is named; one named after the mapping survives a restart as theirs does.
    group = str(properties.get("ConsumerGroupId") or next(filter(None, nested), None) or f"local-{name}")
    shortest, longest = GROUP_ID_LENGTH_RANGE
    if not shortest <= len(group) <= longest:
        raise MappingRefused(f"{name}: ConsumerGroupId has {len(group)} characters: {shortest} to {longest}")
    return group


def _read_start(name: str, value: Any) -> str:
    if value not in STARTING_POSITIONS:
        raise MappingRefused(f"{name}: StartingPosition={value!r}: use {' or '.join(STARTING_POSITIONS)}")
    return str(value)


def _read_bool(name: str, key: str, value: Any) -> bool:
    words = {True: True, False: False, "true": True, "false": False}
    if isinstance(value, bool | str) and value in words:
        return words[value]
    raise MappingRefused(f"{name}: {key}={value!r}: use true or false")


def _read_int(name: str, key: str, value: Any, bounds: tuple[int, int]) -> int:
    low, high = bounds
    # CloudFormation parameters are text, also the numbers.
    text = "" if isinstance(value, bool) else str(value)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise MappingRefused(f"{name}: {key}={value!r}: a whole number from {low} to {high} is needed")
    return int(text)
