"""How `template.yaml` has Lambda read Kafka: mappings, their groups and their pollers."""

import pytest

from event_analytics.erasure_run import CONSUMERS
from tests.unit.template.parts import FUNCTIONS, MAPPINGS, PARAMETERS, RESOURCES, TEMPLATE

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


def test_an_erasure_waits_for_every_mapping_and_looks_again_when_load_must_have_ended() -> None:
    assert sorted(CONSUMERS) == sorted((group, topic) for topic, group in STREAMS.values())
    assert PARAMETERS["ErasureSettleSeconds"]["Default"] == FUNCTIONS["LoadFunction"]["Timeout"]
