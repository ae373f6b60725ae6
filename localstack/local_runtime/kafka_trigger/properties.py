"""AWS's properties of a mapping, checked against AWS's ranges and modes.

Takes plain values (`template` resolves a template's intrinsics first) and knows neither Kafka nor Lambda. What AWS
would refuse is refused here, and so is what AWS does and this trigger does not: silence would teach a lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as MappingOf
from datetime import datetime
from typing import Any

from local_runtime.kafka_trigger.filters import FilterRefused, compile_filters
from local_runtime.kafka_trigger.mapping import (
    AT_TIMESTAMP,
    BATCH_SIZE_DEFAULT,
    LATEST,
    LOCAL_CLUSTER_ARN,
    MSK,
    ON_DEMAND_POLLERS,
    SELF_MANAGED,
    TRIM_HORIZON,
    WINDOW_DEFAULT_MS,
    Destination,
    Mapping,
    MappingRefused,
)
from local_runtime.kafka_trigger.retry import RETRIES_WITH_DESTINATION, Rules

# Ranges of CreateEventSourceMapping, from the service model of lambda 2015-03-31 and the guide.
BATCH_SIZE_RANGE = (1, 10_000)
WINDOW_SECONDS_RANGE = (0, 300)
RETRIES_RANGE = (-1, 10_000)
AGE_SECONDS_RANGE = (60, 604_800)
GROUP_ID_LENGTH_RANGE = (1, 200)
MINIMUM_POLLERS_RANGE = (1, 200)
MAXIMUM_POLLERS_RANGE = (1, 2000)
MAXIMUM_POLLERS_DEFAULT = 200
FOR_EVER = -1
STARTING_POSITIONS = (TRIM_HORIZON, LATEST, AT_TIMESTAMP)
ARN_KINDS = ("sqs", "sns", "s3")
KAFKA_TOPIC = re.compile(r"kafka://([^.][a-zA-Z0-9\-_.]{0,248})")
DESTINATION_ARN = re.compile(r"arn:aws[a-zA-Z0-9-]*:([a-z0-9-]+):[a-z0-9-]*:[0-9]*:.+")

_SELF_MANAGED_ONLY = frozenset({"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"})
_PLAYED = _SELF_MANAGED_ONLY | {
    "AmazonManagedKafkaEventSourceConfig",
    "BatchSize",
    "BisectBatchOnFunctionError",
    "ConsumerGroupId",
    "DestinationConfig",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "Name",
    "ProvisionedPollerConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Topics",
    "UUID",
}
# How Lambda reaches or reports the mapping: without meaning for one that polls from this machine.
_WITHOUT_MEANING = frozenset(
    {"SourceAccessConfigurations", "MetricsConfig", "LoggingConfig", "KmsKeyArn", "KMSKeyArn", "Tags"}
)


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
    return _Reader(name, properties).read()


class _Reader:
    def __init__(self, name: str, properties: MappingOf[str, Any]) -> None:
        self._name = name
        self._properties = properties
        self._is_provisioned = bool(properties.get("ProvisionedPollerConfig"))

    def read(self) -> Mapping:
        for key in self._properties.keys() - _PLAYED - _WITHOUT_MEANING:
            raise self._refuse(key, "is not for Kafka, or not played locally")
        topic = self._read_topic()
        function = str(self._properties.get("FunctionName") or "")
        if not function:
            raise MappingRefused(f"{self._name}: FunctionName is missing")
        is_self_managed = not _SELF_MANAGED_ONLY.isdisjoint(self._properties)
        cluster = self._properties.get("EventSourceArn") or LOCAL_CLUSTER_ARN
        destination = self._read_destination(topic)
        start, timestamp_ms = self._read_start()
        pollers_min, pollers_max = self._read_pollers()
        return Mapping(
            name=self._name,
            function=function,
            topic=topic,
            group=self._read_group(),
            batch_size=self._read_int("BatchSize", BATCH_SIZE_DEFAULT, BATCH_SIZE_RANGE),
            window_ms=self._read_window_ms(),
            starting_position=start,
            starting_timestamp_ms=timestamp_ms,
            enabled=self._read_bool("Enabled", default=True),
            event_source=SELF_MANAGED if is_self_managed else MSK,
            event_source_arn=None if is_self_managed else cluster,
            rules=self._read_rules(has_destination=destination is not None),
            destination=destination,
            filters=self._read_filters(),
            pollers_min=pollers_min,
            pollers_max=pollers_max,
            properties=dict(self._properties),
        )

    def _refuse(self, key: str, why: str) -> MappingRefused:
        return MappingRefused(f"{self._name}: {key}={self._properties.get(key)!r}: {why}")

    def _require_provisioned(self, key: str) -> None:
        if not self._is_provisioned:
            raise self._refuse(key, "needs provisioned mode: set ProvisionedPollerConfig")

    def _read_topic(self) -> str:
        value = self._properties.get("Topics")
        if not isinstance(value, list) or len(value) != 1 or not value[0]:
            raise self._refuse("Topics", "exactly one topic is needed")
        return str(value[0])

    def _read_window_ms(self) -> int:
        key = "MaximumBatchingWindowInSeconds"
        if self._properties.get(key) is None:
            return WINDOW_DEFAULT_MS
        return 1000 * self._read_int(key, None, WINDOW_SECONDS_RANGE)

    def _read_rules(self, *, has_destination: bool) -> Rules:
        retries = self._read_int("MaximumRetryAttempts", FOR_EVER, RETRIES_RANGE)
        age = self._read_int("MaximumRecordAgeInSeconds", FOR_EVER, AGE_SECONDS_RANGE, also=FOR_EVER)
        kinds = self._properties.get("FunctionResponseTypes") or []
        if kinds not in ([], ["ReportBatchItemFailures"]):
            raise self._refuse("FunctionResponseTypes", "use ReportBatchItemFailures")
        rules = Rules(
            retries_max=None if retries == FOR_EVER else retries,
            age_ms_max=None if age == FOR_EVER else age * 1000,
            bisects=self._read_bool("BisectBatchOnFunctionError", default=False),
            reports_items=bool(kinds),
        )
        for key, is_set in (
            ("MaximumRetryAttempts", rules.retries_max is not None),
            ("MaximumRecordAgeInSeconds", rules.age_ms_max is not None),
            ("BisectBatchOnFunctionError", rules.bisects),
            ("FunctionResponseTypes", rules.reports_items),
        ):
            if is_set:
                self._require_provisioned(key)
        if rules.retries_max is None and has_destination:
            return Rules(RETRIES_WITH_DESTINATION, rules.age_ms_max, rules.bisects, rules.reports_items)
        return rules

    def _read_destination(self, topic: str) -> Destination | None:
        config = self._properties.get("DestinationConfig") or {}
        target = str((config.get("OnFailure") or {}).get("Destination") or "")
        if not target:
            return None
        if found := KAFKA_TOPIC.fullmatch(target):
            self._require_provisioned("DestinationConfig")
            if found.group(1) == topic:
                raise self._refuse("DestinationConfig", "the source topic cannot be the destination")
            return Destination("kafka", found.group(1))
        kind = DESTINATION_ARN.fullmatch(target)
        if kind is None or kind.group(1) not in ARN_KINDS:
            raise self._refuse("DestinationConfig", "use the ARN of a queue, topic or bucket, or kafka://topic")
        return Destination(kind.group(1), target)

    def _read_filters(self) -> tuple[str, ...]:
        criteria = self._properties.get("FilterCriteria") or {}
        patterns = tuple(str(one.get("Pattern") or "{}") for one in criteria.get("Filters") or [])
        try:
            compile_filters(patterns)
        except FilterRefused as error:
            raise MappingRefused(f"{self._name}: FilterCriteria: {error}") from error
        return patterns

    def _read_pollers(self) -> tuple[int, int]:
        if not self._is_provisioned:
            return ON_DEMAND_POLLERS
        config = self._properties["ProvisionedPollerConfig"]
        inner = _Reader(f"{self._name}: ProvisionedPollerConfig", config)
        fewest = inner._read_int("MinimumPollers", 1, MINIMUM_POLLERS_RANGE)
        most = inner._read_int("MaximumPollers", max(fewest, MAXIMUM_POLLERS_DEFAULT), MAXIMUM_POLLERS_RANGE)
        if most < fewest:
            raise self._refuse("ProvisionedPollerConfig", "MaximumPollers is below MinimumPollers")
        return fewest, most

    def _read_group(self) -> str:
        configs = ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
        nested = [self._properties[key] for key in configs if self._properties.get(key)]
        if any(config.get("SchemaRegistryConfig") for config in nested):
            raise MappingRefused(f"{self._name}: SchemaRegistryConfig is not played locally")
        named = [config.get("ConsumerGroupId") for config in nested]
        # AWS makes a unique group where none is named; one named after the mapping survives a restart as theirs does.
        group = str(self._properties.get("ConsumerGroupId") or next(filter(None, named), None) or f"local-{self._name}")
        shortest, longest = GROUP_ID_LENGTH_RANGE
        if not shortest <= len(group) <= longest:
            raise MappingRefused(f"{self._name}: ConsumerGroupId has {len(group)} characters: {shortest} to {longest}")
        return group

    def _read_start(self) -> tuple[str, int | None]:
        position = self._properties.get("StartingPosition") or TRIM_HORIZON
        if position not in STARTING_POSITIONS:
            raise self._refuse("StartingPosition", f"use {' or '.join(STARTING_POSITIONS)}")
        value = self._properties.get("StartingPositionTimestamp")
        if (position == AT_TIMESTAMP) is (value is None):
            raise self._refuse("StartingPositionTimestamp", "goes with AT_TIMESTAMP")
        return str(position), None if value is None else self._read_epoch_ms(value)

    def _read_epoch_ms(self, value: Any) -> int:
        """Unix seconds, as CloudFormation has it, or a point in time, as an API client gives it."""
        try:
            moment = value.timestamp() if isinstance(value, datetime) else _to_seconds(value)
        except (TypeError, ValueError) as error:
            raise self._refuse("StartingPositionTimestamp", "Unix seconds or RFC 3339 are needed") from error
        return int(moment * 1000)

    def _read_bool(self, key: str, *, default: bool) -> bool:
        value = self._properties.get(key, default)
        words = {True: True, False: False, "true": True, "false": False}
        if isinstance(value, bool | str) and value in words:
            return words[value]
        raise self._refuse(key, "use true or false")

    def _read_int(self, key: str, default: int | None, bounds: tuple[int, int], also: int | None = None) -> int:
        low, high = bounds
        value = self._properties.get(key)
        # CloudFormation parameters are text, also the numbers.
        text = "" if isinstance(value, bool) else str(default if value is None else value)
        is_number = re.fullmatch(r"-?[0-9]{1,9}", text)
        if not is_number or not (low <= int(text) <= high or int(text) == also):
            raise self._refuse(key, f"a whole number from {low} to {high} is needed")
        return int(text)


def _to_seconds(value: Any) -> float:
    text = str(value)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.timestamp()


def refuse_future_start(mapping: Mapping, now_ms: int) -> None:
    """Do nothing unless the mapping starts at a time to come.

    Raises:
        MappingRefused: it does; AWS says no to that too.
    """
    if (mapping.starting_timestamp_ms or 0) > now_ms:
        raise MappingRefused(f"{mapping.name}: StartingPositionTimestamp is in the future")
