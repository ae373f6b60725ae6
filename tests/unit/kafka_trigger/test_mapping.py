from __future__ import annotations

import json
from typing import Any

import pytest

from local_runtime.kafka_trigger.mapping import MSK, SELF_MANAGED, MappingRefused, parse_mapping, read_properties

GOOD: dict[str, Any] = {"FunctionName": "f", "Topics": ["t"]}


def test_defaults_are_those_of_lambda() -> None:
    mapping = parse_mapping(json.dumps(GOOD))

    assert (mapping.name, mapping.function, mapping.topic, mapping.group) == ("f", "f", "t", "local-f")
    assert (mapping.batch_size, mapping.window_ms, mapping.starting_position) == (100, 500, "TRIM_HORIZON")
    assert (mapping.enabled, mapping.event_source) == (True, MSK)


def test_numbers_may_be_text_as_template_parameters_are() -> None:
    mapping = read_properties("m", {**GOOD, "BatchSize": "10000", "MaximumBatchingWindowInSeconds": "0"})

    assert (mapping.batch_size, mapping.window_ms) == (10_000, 0)


def test_self_managed_mapping_has_no_cluster_arn() -> None:
    config = {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}}
    mapping = read_properties("m", {**GOOD, **config})

    assert (mapping.event_source, mapping.event_source_arn, mapping.group) == (SELF_MANAGED, None, "g")


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
        ({"StartingPosition": "AT_TIMESTAMP"}, "StartingPosition"),
        ({"ConsumerGroupId": "g" * 201}, "1 to 200"),
        ({"MaximumRetryAttempts": 3}, "only -1"),
        ({"MaximumRecordAgeInSeconds": 60}, "only -1"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 201}}, "1 to 200"),
        ({"ProvisionedPollerConfig": {"MaximumPollers": 0}}, "1 to 2000"),
        ({"Enabled": "yes"}, "Enabled"),
        ({"BisectBatchOnFunctionError": True}, "not played"),
        ({"DestinationConfig": {"OnFailure": {}}}, "not played"),
        ({"FilterCriteria": {}}, "not played"),
        ({"FunctionResponseTypes": ["ReportBatchItemFailures"]}, "not played"),
    ],
)
def test_refuses_what_aws_refuses_or_what_is_not_played(properties: dict[str, Any], word: str) -> None:
    with pytest.raises(MappingRefused, match=word):
        read_properties("m", {**GOOD, **properties})


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_refuses_text_that_is_no_json_object(text: str) -> None:
    with pytest.raises(MappingRefused):
        parse_mapping(text)
