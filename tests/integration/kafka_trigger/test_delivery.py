"""What the function gets, on a real broker."""

from __future__ import annotations

import time

from .conftest import Broker, StartTrigger, wait_for
from .recording_lambda import RecordingLambda

PAYLOAD_BYTES_MAX = 6_291_456


def test_delivers_records_in_order_with_key_headers_and_tombstones(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    headers = [("trace", "ë".encode()), ("empty", b"")]
    broker.send(topic, [b"one"], key=b"user-1", headers=headers, timestamp_ms=1545084650987)
    broker.send(topic, [b"two"])
    broker.send(topic, [None], key=b"user-1")  # type: ignore[list-item]
    start_trigger(broker, topic)
    wait_for(lambda: sum(len(call.records()) for call in endpoint.accepted()) == 3, "three records")

    event = endpoint.calls[0].event
    first, second, third = event["records"][f"{topic}-0"]
    assert endpoint.calls[0].function == "f"
    assert list(event) == ["eventSource", "eventSourceArn", "bootstrapServers", "records"]
    assert (event["eventSource"], event["bootstrapServers"]) == ("aws:kafka", broker.bootstrap)
    assert first == {
        "topic": topic,
        "partition": 0,
        "offset": 0,
        "timestamp": 1545084650987,
        "timestampType": "CREATE_TIME",
        "key": "dXNlci0x",
        "value": "b25l",
        "headers": [{"trace": [-61, -85]}, {"empty": []}],
    }
    assert (second["offset"], second["key"], second["headers"]) == (1, None, [])
    assert (third["offset"], third["value"]) == (2, None)


def test_self_managed_mapping_has_no_cluster_arn(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"one"])
    start_trigger(broker, topic, SelfManagedEventSource={"Endpoints": {}})
    wait_for(lambda: endpoint.calls, "one call")

    event = endpoint.calls[0].event
    assert event["eventSource"] == "SelfManagedKafka"
    assert "eventSourceArn" not in event


def test_batch_size_closes_a_batch(broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"%d" % number for number in range(25)])
    start_trigger(broker, topic, BatchSize=10, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 25, "all records")

    assert [len(call.records()) for call in endpoint.accepted()] == [10, 10, 5]
    assert endpoint.accepted_values() == [b"%d" % number for number in range(25)]


def test_window_opens_at_the_first_record_and_gathers_partitions(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(3)
    start_trigger(broker, topic, MaximumBatchingWindowInSeconds=1)
    first_sent = time.monotonic()
    for partition in range(3):
        broker.send(topic, [b"a", b"b"], partition)
    wait_for(lambda: endpoint.calls, "one call")

    call = endpoint.calls[0]
    assert sorted(call.event["records"]) == [f"{topic}-{number}" for number in range(3)]
    assert len(call.records()) == 6
    assert 0.95 <= call.started - first_sent <= 2.5


def test_payload_never_exceeds_six_megabytes(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(2)
    for partition in range(2):
        broker.send(topic, [bytes([number]) * 400_000 for number in range(20)], partition)
    start_trigger(broker, topic, BatchSize=10_000, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: sum(len(call.records()) for call in endpoint.accepted()) == 40, "all records")

    sizes = [call.payload_bytes for call in endpoint.accepted()]
    assert max(sizes) <= PAYLOAD_BYTES_MAX
    assert max(sizes) > PAYLOAD_BYTES_MAX - 600_000
    for partition in range(2):
        values = endpoint.accepted_values(partition)
        assert [value[0] for value in values] == list(range(20))


def test_record_that_no_payload_holds_blocks_its_partition_and_is_named(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(2)
    broker.send(topic, [b"before", b"x" * 5_000_000, b"after"], 0)
    broker.send(topic, [b"other"], 1)
    trigger = start_trigger(broker, topic)
    wait_for(lambda: len(endpoint.accepted_values()) == 2 and trigger.status()["lag"] == 2, "the rest")

    error = trigger.status()["last_error"]
    assert sorted(endpoint.accepted_values()) == [b"before", b"other"]
    assert "partition 0 is stuck" in error
    assert "offset 1" in error
    assert "6291456" in error


def test_committed_offset_of_the_group_overrides_the_starting_position(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"old"])
    trigger = start_trigger(broker, topic)
    trigger.wait_until_caught_up()
    assert trigger.stop() == 0
    broker.send(topic, [b"new"])
    start_trigger(broker, topic).wait_until_caught_up()

    assert endpoint.accepted_values() == [b"old", b"new"]


def test_latest_starts_behind_what_is_there(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    broker.send(topic, [b"old"] * 50)
    start_trigger(broker, topic, StartingPosition="LATEST")
    broker.send(topic, [b"new"])
    wait_for(endpoint.accepted_values, "a record")

    assert endpoint.accepted_values() == [b"new"]


def test_trigger_waits_for_a_topic_that_is_created_later(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    from local_runtime import tansu

    topic = f"{broker.topic(1)}-later"
    trigger = start_trigger(broker, topic, wait=False)
    wait_for(lambda: "does not exist" in trigger.log_path.read_text(), "the topic is missed")
    tansu.create_topics(broker.bootstrap, {topic: 2})
    broker.send(topic, [b"one"], 1)
    wait_for(endpoint.accepted_values, "a record")

    assert endpoint.accepted_values() == [b"one"]


def test_status_counts_records_and_shows_exact_lag(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(2)
    broker.send(topic, [b"x"] * 30, 0)
    broker.send(topic, [b"x"] * 12, 1)
    trigger = start_trigger(broker, topic, BatchSize=20)
    wait_for(lambda: trigger.status()["committed"] == 42, "all committed")
    trigger.wait_until_caught_up()

    status = trigger.status()
    assert {key: status[key] for key in ("name", "function", "topic", "group")} == {
        "name": "m",
        "function": "f",
        "topic": topic,
        "group": f"g-{topic}",
    }
    assert [status[key] for key in ("polled", "invoked", "failed", "committed", "lag")] == [42, 42, 0, 42, 0]
    assert status["last_error"] is None
