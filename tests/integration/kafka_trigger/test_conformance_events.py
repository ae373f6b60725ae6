"""Conformance to Lambda's event source mapping, points 1 to 8, 19 and 20: what the function gets, what is counted."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .conftest import Broker, Play, wait_for
from .recording_lambda import RAISED, Answer, RecordingLambda

PAYLOAD_BYTES_MAX = 6_291_456


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_point_01_event_has_the_shape_of_msk(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"one"], key=b"user-1", timestamp_ms=1545084650987)
    play(broker, topic)
    wait_for(lambda: endpoint.calls, "a call")

    (call,) = endpoint.calls
    assert call.function == "f"
    assert call.event == {
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:000000000000:cluster/local/local-1",
        "bootstrapServers": broker.bootstrap,
        "records": {
            f"{topic}-0": [
                {
                    "topic": topic,
                    "partition": 0,
                    "offset": 0,
                    "timestamp": 1545084650987,
                    "timestampType": "CREATE_TIME",
                    "key": "dXNlci0x",
                    "value": "b25l",
                    "headers": [],
                }
            ]
        },
    }


def test_point_01_self_managed_event_has_no_cluster_arn(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"one"])
    play(broker, topic, SelfManagedEventSource={"Endpoints": {}})
    wait_for(lambda: endpoint.calls, "a call")

    event = endpoint.calls[0].event
    assert list(event) == ["eventSource", "bootstrapServers", "records"]
    assert event["eventSource"] == "SelfManagedKafka"


def test_point_02_key_and_value_are_base64_and_header_bytes_signed(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    broker.send(topic, ["ë".encode()], key="ë".encode(), headers=[("trace", "ë".encode()), ("empty", b"")])
    broker.send(topic, [b"no key"])
    broker.send(topic, [None], key=b"tombstone")  # type: ignore[list-item]
    play(broker, topic)
    wait_for(lambda: len(endpoint.accepted_records()) == 3, "three records")

    full, keyless, tombstone = endpoint.accepted_records()
    assert (full["key"], full["value"]) == ("w6s=", "w6s=")
    assert full["headers"] == [{"trace": [-61, -85]}, {"empty": []}]
    assert (keyless["key"], keyless["headers"]) == (None, [])
    assert (tombstone["key"], tombstone["value"]) == ("dG9tYnN0b25l", None)


def test_point_03_window_opens_at_the_first_record(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    play(broker, topic, MaximumBatchingWindowInSeconds=1)
    first_sent = time.monotonic()
    broker.send(topic, [b"a"])
    broker.send(topic, [b"b"])
    wait_for(lambda: endpoint.calls, "one call")

    assert endpoint.calls[0].values() == [b"a", b"b"]
    assert 0.9 <= endpoint.calls[0].started - first_sent <= 5


def test_point_04_batch_size_closes_a_batch(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    broker.send(topic, numbered(25))
    play(broker, topic, BatchSize=10, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 25, "all records")

    assert endpoint.counts() == [10, 10, 5]
    assert endpoint.accepted_values() == numbered(25)


def test_point_05_payload_never_exceeds_six_megabytes(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(2)
    for partition in range(2):
        broker.send(topic, [bytes([number]) * 400_000 for number in range(20)], partition)
    play(broker, topic, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_records()) == 40, "all records")

    sizes = [call.payload_bytes for call in endpoint.accepted()]
    assert PAYLOAD_BYTES_MAX - 600_000 < max(sizes) <= PAYLOAD_BYTES_MAX
    for partition in range(2):
        assert [value[0] for value in endpoint.accepted_values(partition)] == list(range(20))


def test_point_05_record_that_no_payload_holds_blocks_its_partition_and_is_named(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(2)
    broker.send(topic, [b"before", b"x" * 5_000_000, b"after"], 0)
    broker.send(topic, [b"other"], 1)
    player = play(broker, topic)
    wait_for(lambda: len(endpoint.accepted_values()) == 2 and player.status()["lag"] == 2, "the rest")
    wait_for(lambda: player.status()["last_error"], "the record to be named")

    error = player.status()["last_error"]
    assert sorted(endpoint.accepted_values()) == [b"before", b"other"]
    assert all(word in error for word in ("partition 0 is stuck", "offset 1", "6291456"))


def test_point_06_batch_gathers_several_partitions(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(3)
    play(broker, topic, MaximumBatchingWindowInSeconds=1)
    for partition in range(3):
        broker.send(topic, [b"a", b"b"], partition)
    wait_for(lambda: endpoint.calls, "one call")

    assert sorted(endpoint.calls[0].event["records"]) == [f"{topic}-{number}" for number in range(3)]
    assert endpoint.counts() == [6]


def test_point_07_trim_horizon_starts_at_the_oldest_record_and_latest_behind_the_newest(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"old"] * 50)
    play(broker, topic, Name="oldest", FunctionName="oldest", ConsumerGroupId=f"{topic}-a")
    play(broker, topic, FunctionName="newest", ConsumerGroupId=f"{topic}-b", StartingPosition="LATEST")
    broker.send(topic, [b"new"])
    wait_for(lambda: len(endpoint.accepted_records()) == 52, "all for one, one for the other")

    assert endpoint.accepted_values(function="oldest") == [b"old"] * 50 + [b"new"]
    assert endpoint.accepted_values(function="newest") == [b"new"]


def test_point_07_at_timestamp_starts_at_the_first_record_that_is_not_older(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    now_ms = int(time.time() * 1000)
    for age_ms in (3000, 2000, 1000, 0):
        broker.send(topic, [b"%d" % age_ms], timestamp_ms=now_ms - age_ms)
    player = play(broker, topic, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=(now_ms - 1500) / 1000)
    player.wait_until_caught_up()

    assert endpoint.accepted_values() == [b"1000", b"0"]


def test_point_08_committed_offset_of_the_group_overrides_the_starting_position(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"old"])
    player = play(broker, topic)
    player.wait_until_caught_up()
    player.supervisor.stop()
    broker.send(topic, [b"between"])
    play(broker, topic, StartingPosition="LATEST").wait_until_caught_up()

    assert endpoint.accepted_values() == [b"old", b"between"]


def test_point_19_record_that_no_filter_wants_is_passed_without_an_invocation(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(2)
    wanted = {"Filters": [{"Pattern": json.dumps({"value": {"kind": ["a", {"prefix": "b"}]}})}]}
    kinds = ["x", "a", "y", "b2", "z"]
    broker.send(topic, [json.dumps({"kind": kind}).encode() for kind in kinds], 0)
    broker.send(topic, [b'{"kind":"none of this partition"}'] * 3, 1)
    player = play(broker, topic, FilterCriteria=wanted)
    player.wait_until_caught_up()

    assert [json.loads(value)["kind"] for value in endpoint.accepted_values()] == ["a", "b2"]
    assert [player.status()[key] for key in ("polled", "filtered", "invoked", "lag")] == [8, 6, 2, 0]


@pytest.mark.parametrize("failing", [False, True])
def test_point_20_records_are_counted_at_every_step_and_the_lag_is_exact(
    broker: Broker, endpoint: RecordingLambda, play: Play, failing: bool
) -> None:
    topic = broker.topic(2)
    broker.send(topic, [b"x"] * 30, 0)
    broker.send(topic, [b"x"] * 12, 1)
    endpoint.decide = lambda *_: RAISED if failing else Answer()
    player = play(broker, topic, BatchSize=42, MaximumBatchingWindowInSeconds=1)
    expected: dict[str, Any] = {"polled": 42, "committed": 0 if failing else 42, "lag": 42 if failing else 0}
    wait_for(
        lambda: player.status()["invoked"] and {key: player.status()[key] for key in expected} == expected, "counts"
    )

    status = player.status()
    names = {key: status[key] for key in ("name", "function", "topic", "group")}
    assert names == {"name": "m", "function": "f", "topic": topic, "group": f"g-{topic}"}
    assert (status["invoked"] > 0, status["failed"] > 0) == (True, failing)
    assert ("ValueError: no" in str(status["last_error"])) is failing
    assert status["lags"] == ({0: 30, 1: 12} if failing else {0: 0, 1: 0})
