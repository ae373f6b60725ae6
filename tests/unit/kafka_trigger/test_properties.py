from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from local_runtime.kafka_trigger import properties as ranges
from local_runtime.kafka_trigger.mapping import MSK, SELF_MANAGED, Destination, MappingRefused
from local_runtime.kafka_trigger.properties import parse_mapping, read_properties, refuse_future_start
from local_runtime.kafka_trigger.retry import Rules

GOOD: dict[str, Any] = {"FunctionName": "f", "Topics": ["t"]}
PROVISIONED = {"ProvisionedPollerConfig": {"MinimumPollers": 1}}
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"


def on_failure(target: str) -> dict[str, Any]:
    return {"DestinationConfig": {"OnFailure": {"Destination": target}}}


def test_defaults_are_those_of_lambda() -> None:
    mapping = parse_mapping(json.dumps(GOOD))

    assert (mapping.name, mapping.function, mapping.topic, mapping.group) == ("f", "f", "t", "local-f")
    assert (mapping.batch_size, mapping.window_ms, mapping.starting_position) == (100, 500, "TRIM_HORIZON")
    assert (mapping.enabled, mapping.event_source) == (True, MSK)
    assert (mapping.rules, mapping.destination, mapping.filters) == (Rules(), None, ())
    assert (mapping.pollers_min, mapping.pollers_max) == (1, 2000)


def test_numbers_may_be_text_as_template_parameters_are() -> None:
    mapping = read_properties("m", {**GOOD, "BatchSize": "10000", "MaximumBatchingWindowInSeconds": "0"})

    assert (mapping.batch_size, mapping.window_ms) == (10_000, 0)


def test_self_managed_mapping_has_no_cluster_arn() -> None:
    config = {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}}
    mapping = read_properties("m", {**GOOD, **config})

    assert (mapping.event_source, mapping.event_source_arn, mapping.group) == (SELF_MANAGED, None, "g")


def test_provisioned_mode_takes_every_kind_of_error_handling() -> None:
    mapping = read_properties(
        "m",
        {
            **GOOD,
            "ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": "5"},
            "MaximumRetryAttempts": 3,
            "MaximumRecordAgeInSeconds": 60,
            "BisectBatchOnFunctionError": "true",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            **on_failure("kafka://failed"),
        },
    )

    assert mapping.rules == Rules(3, 60_000, bisects=True, reports_items=True)
    assert mapping.destination == Destination("kafka", "failed")
    assert (mapping.pollers_min, mapping.pollers_max) == (2, 5)


def test_destination_without_a_limit_of_retries_means_ten() -> None:
    mapping = read_properties("m", {**GOOD, **on_failure(QUEUE)})

    assert (mapping.rules.retries_max, mapping.destination) == (10, Destination("sqs", QUEUE))


def test_limit_of_retries_stays_with_a_destination_and_empty_destination_is_none() -> None:
    limited = read_properties("m", {**GOOD, **PROVISIONED, "MaximumRetryAttempts": 0, **on_failure(QUEUE)})
    none = read_properties("m", {**GOOD, **on_failure("")})

    assert limited.rules.retries_max == 0
    assert (none.destination, none.rules.retries_max) == (None, None)


@pytest.mark.parametrize("value", [1_700_000_000, "1700000000", "2023-11-14T22:13:20Z"])
def test_starting_time_is_unix_seconds_or_a_date(value: Any) -> None:
    mapping = read_properties("m", {**GOOD, "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": value})

    assert mapping.starting_timestamp_ms == 1_700_000_000_000


def test_start_in_the_future_is_refused() -> None:
    start = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1_700_000_000}
    mapping = read_properties("m", {**GOOD, **start})
    refuse_future_start(mapping, 1_700_000_000_001)

    with pytest.raises(MappingRefused, match="future"):
        refuse_future_start(mapping, 1_699_999_999_999)


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"Topics": []}, "Topics"),
        ({"Topics": ["a", "b"]}, "exactly one"),
        ({"FunctionName": ""}, "FunctionName"),
        ({"BatchSize": 0}, "1 to 10000"),
        ({"BatchSize": 10_001}, "1 to 10000"),
        ({"BatchSize": "many"}, "BatchSize"),
        ({"BatchSize": True}, "BatchSize"),
        ({"MaximumBatchingWindowInSeconds": 301}, "0 to 300"),
        ({"MaximumBatchingWindowInSeconds": 0.5}, "whole number"),
        ({"StartingPosition": "NEWEST"}, "StartingPosition"),
        ({"StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp"),
        ({"StartingPositionTimestamp": 7}, "AT_TIMESTAMP"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": "soon"}, "Unix seconds"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": "2023-11-14T22:13:20"}, "Unix seconds"),
        ({"ConsumerGroupId": "g" * 201}, "1 to 200"),
        ({**PROVISIONED, "MaximumRetryAttempts": -2}, "-1 to 10000"),
        ({**PROVISIONED, "MaximumRetryAttempts": 10_001}, "-1 to 10000"),
        ({**PROVISIONED, "MaximumRecordAgeInSeconds": 59}, "60 to 604800"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 201}}, "1 to 200"),
        ({"ProvisionedPollerConfig": {"MaximumPollers": 0}}, "1 to 2000"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 9, "MaximumPollers": 8}}, "below"),
        ({"Enabled": "yes"}, "Enabled"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"key":["k"]}'}]}}, "only `value`"),
        ({**PROVISIONED, "FunctionResponseTypes": ["Everything"]}, "ReportBatchItemFailures"),
        (on_failure("arn:aws:dynamodb:us-east-1:000000000000:table/t"), "queue, topic or bucket"),
        (on_failure("q"), "queue, topic or bucket"),
        ({**PROVISIONED, **on_failure("kafka://t")}, "source topic"),
        ({"AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": {"x": 1}}}, "SchemaRegistryConfig"),
        ({"ParallelizationFactor": 2}, "not for Kafka"),
        ({"TumblingWindowInSeconds": 2}, "not for Kafka"),
    ],
)
def test_refuses_what_aws_refuses_or_what_is_not_played(properties: dict[str, Any], word: str) -> None:
    with pytest.raises(MappingRefused, match=word):
        read_properties("m", {**GOOD, **properties})


@pytest.mark.parametrize(
    "properties",
    [
        {"MaximumRetryAttempts": 3},
        {"MaximumRecordAgeInSeconds": 60},
        {"BisectBatchOnFunctionError": True},
        {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
        on_failure("kafka://failed"),
    ],
    ids=lambda properties: next(iter(properties)),
)
def test_on_demand_mode_refuses_what_needs_provisioned_pollers(properties: dict[str, Any]) -> None:
    with pytest.raises(MappingRefused, match="provisioned mode"):
        read_properties("m", {**GOOD, **properties})

    read_properties("m", {**GOOD, **PROVISIONED, **properties})


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_refuses_text_that_is_no_json_object(text: str) -> None:
    with pytest.raises(MappingRefused):
        parse_mapping(text)


def test_ranges_are_those_of_the_service_model() -> None:
    """The model's own bounds; the guide narrows pollers and age for Kafka."""
    folder = Path(botocore.__path__[0]) / "data/lambda/2015-03-31"
    shapes = json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))["shapes"]

    def bounds(name: str) -> tuple[int, int]:
        return shapes[name]["min"], shapes[name]["max"]

    assert bounds("BatchSize") == ranges.BATCH_SIZE_RANGE
    assert bounds("MaximumBatchingWindowInSeconds") == ranges.WINDOW_SECONDS_RANGE
    assert bounds("MaximumRetryAttemptsEventSourceMapping") == ranges.RETRIES_RANGE
    assert bounds("MaximumRecordAgeInSeconds")[1] == ranges.AGE_SECONDS_RANGE[1]
    assert bounds("MinimumNumberOfPollers") == ranges.MINIMUM_POLLERS_RANGE
    assert bounds("URI") == ranges.GROUP_ID_LENGTH_RANGE
    assert set(shapes["EventSourcePosition"]["enum"]) == set(ranges.STARTING_POSITIONS)
