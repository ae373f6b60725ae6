"""Conformance to Lambda's event source mapping, points 18, 21 and 25: what is refused, and what pauses."""

from __future__ import annotations

from typing import Any

import pytest

from local_runtime.kafka_trigger import watermarks
from local_runtime.kafka_trigger.mapping import MappingRefused

from .conftest import Broker, Play, wait_for
from .recording_lambda import RAISED, Answer, RecordingLambda

KAFKA = {"DestinationConfig": {"OnFailure": {"Destination": "kafka://failed"}}}


@pytest.mark.parametrize(
    "option",
    [
        {"MaximumRetryAttempts": 0},
        {"MaximumRecordAgeInSeconds": 60},
        {"BisectBatchOnFunctionError": True},
        {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
        KAFKA,
    ],
    ids=lambda option: next(iter(option)),
)
def test_point_18_on_demand_mode_refuses_options_of_provisioned_mode(
    broker: Broker, play: Play, option: dict[str, Any]
) -> None:
    with pytest.raises(MappingRefused, match="provisioned mode"):
        play(broker, "t", **option)


def test_point_21_disabled_mapping_pauses_with_its_lag_visible_and_goes_on_where_it_was(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(2)
    broker.send(topic, [b"before"])
    player = play(broker, topic, "--max-in-flight", "1")
    player.wait_until_caught_up()
    player.pause()
    broker.send(topic, [b"meanwhile"] * 3, 1)
    wait_for(lambda: player.status()["lag"] == 3, "the lag is seen")
    seen = endpoint.accepted_values()
    player.enable(enabled=True)
    player.wait_until_caught_up()

    assert seen == [b"before"]
    assert endpoint.accepted_values() == [b"before"] + [b"meanwhile"] * 3


def test_point_21_mapping_may_begin_disabled(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"a"] * 4)
    player = play(broker, topic, Enabled=False)
    wait_for(lambda: player.status()["lag"] == 4, "the lag is seen")
    assert endpoint.calls == []
    player.enable(enabled=True)
    player.wait_until_caught_up()

    assert endpoint.accepted_values() == [b"a"] * 4


def test_point_21_disabled_mapping_does_not_wait_for_its_topic(broker: Broker, play: Play) -> None:
    player = play(broker, f"{broker.topic(1)}-later", Enabled=False)

    assert player.status()["state"] == "disabled"


def test_point_21_what_is_in_flight_at_a_pause_is_finished_and_committed(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: Answer(seconds=0.3)
    broker.send(topic, [b"a", b"b", b"c"])
    player = play(broker, topic, BatchSize=1)
    wait_for(lambda: endpoint.in_flight == 1, "an invocation")
    player.pause()

    assert endpoint.accepted_values() == [b"a"]
    assert player.status()["committed"] == 1


def test_point_25_source_topic_cannot_be_the_destination(broker: Broker, play: Play) -> None:
    provisioned = {"ProvisionedPollerConfig": {"MinimumPollers": 1}}

    with pytest.raises(MappingRefused, match="source topic"):
        play(broker, "failed", **provisioned, **KAFKA)


def test_lag_that_is_asked_for_now_has_what_was_acknowledged_before(
    broker: Broker, endpoint: RecordingLambda, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = broker.topic(2)
    player = play(broker, topic)
    player.wait_until_caught_up()
    endpoint.decide = lambda *_: RAISED
    broker.send(topic, [b"a"] * 5, 1)
    assert watermarks.read_lags_now(broker.bootstrap, player.supervisor.progress()) == {"m": 5}
    monkeypatch.setattr(watermarks, "BOOTSTRAP_TIMEOUT_MS", 100)

    assert watermarks.read_lags_now("127.0.0.1:9", player.supervisor.progress()) == {"m": None}
