"""At least once and in order, whatever fails: function, endpoint, broker, or the trigger itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from .conftest import Broker, StartTrigger, Trigger, wait_for
from .recording_lambda import BAD_GATEWAY, MISSING, RAISED, THROTTLED, TIMED_OUT, Answer, RecordingLambda

RACING_PRODUCER = Path(__file__).with_name("racing_producer.py")
PRODUCERS = 3
PARTITIONS = 2


def values_of(prefix: str, count: int) -> list[bytes]:
    return [f"{prefix} {number}".encode() for number in range(count)]


def first_deliveries(values: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(values))


def assert_in_order_with_replays(values: list[bytes], expected: list[bytes]) -> None:
    """Hold that everything came, first deliveries in order, and that a replay only goes back, never skips."""
    assert first_deliveries(values) == expected
    place = {value: number for number, value in enumerate(expected)}
    places = [place[value] for value in values]
    assert all(later <= earlier + 1 for earlier, later in pairwise(places))


def test_failed_batch_is_sent_again_unchanged_until_it_succeeds(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    answers = iter([RAISED, TIMED_OUT, THROTTLED, BAD_GATEWAY, MISSING])
    endpoint.decide = lambda *_: next(answers, Answer())
    broker.send(topic, values_of("a", 7))
    trigger = start_trigger(broker, topic, BatchSize=5, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 7, f"all records {trigger.log_path.read_text()}")
    trigger.wait_until_caught_up()

    assert [call.values() for call in endpoint.calls[:6]] == [values_of("a", 5)] * 6
    assert endpoint.accepted_values() == values_of("a", 7)
    pauses = [b.started - a.started for a, b in zip(endpoint.calls[:5], endpoint.calls[1:6], strict=True)]
    assert pauses[4] > pauses[0]
    status = trigger.status()
    assert [status[key] for key in ("invocations", "failed_invocations", "failed")] == [7, 5, 25]
    assert status["last_error"] is None


def test_nothing_is_committed_before_the_function_succeeded(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: RAISED
    broker.send(topic, values_of("a", 3))
    trigger = start_trigger(broker, topic)
    wait_for(lambda: len(endpoint.calls) >= 2, "a retry")
    status = trigger.status()

    assert (status["committed"], status["lag"]) == (0, 3)
    assert "ValueError: no" in status["last_error"]


def test_poisoned_partition_blocks_only_itself(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(3)
    endpoint.decide = lambda _, event: RAISED if f"{topic}-1" in event["records"] else Answer()
    for partition in range(3):
        broker.send(topic, values_of(f"p{partition}", 5), partition)
    start_trigger(broker, topic, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 10, "the other partitions")
    for partition in range(3):
        broker.send(topic, values_of(f"q{partition}", 5), partition)
    wait_for(lambda: len(endpoint.accepted_values()) == 20, "the other partitions go on")
    endpoint.decide = lambda *_: Answer()
    wait_for(lambda: len(endpoint.accepted_values()) == 30, "the partition once healed")

    for partition in range(3):
        expected = values_of(f"p{partition}", 5) + values_of(f"q{partition}", 5)
        assert endpoint.accepted_values(partition) == expected


def test_slow_partition_does_not_hold_up_the_others(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(2)
    release = threading.Event()

    def decide(_: str, event: dict[str, Any]) -> Answer:
        if f"{topic}-0" in event["records"]:
            release.wait(20)
        return Answer()

    endpoint.decide = decide
    trigger = start_trigger(broker, topic, BatchSize=10)
    broker.send(topic, values_of("slow", 10), 0)
    wait_for(lambda: endpoint.in_flight == 1, "the slow one runs")
    broker.send(topic, values_of("fast", 50), 1)
    broker.send(topic, values_of("slow again", 10), 0)
    wait_for(lambda: len(endpoint.accepted_values(1)) == 50, "the fast partition")
    seen_while_slow = endpoint.accepted_values(0)
    release.set()
    trigger.wait_until_caught_up()

    assert seen_while_slow == []
    assert endpoint.accepted_values(0) == values_of("slow", 10) + values_of("slow again", 10)


def test_partitions_are_invoked_side_by_side_up_to_the_limit(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(4)
    endpoint.decide = lambda *_: Answer(seconds=0.3)
    for partition in range(4):
        broker.send(topic, values_of(f"p{partition}", 20), partition)
    trigger = start_trigger(broker, topic, "--max-in-flight", "3", BatchSize=10)
    trigger.wait_until_caught_up()

    assert endpoint.in_flight_max == 3
    for partition in range(4):
        assert endpoint.accepted_values(partition) == values_of(f"p{partition}", 20)


def test_backlog_beyond_the_buffers_is_set_aside_and_delivered_once_the_function_recovers(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    """Every partition has more than one payload waiting, so fetching stops and goes on for each."""
    topic = broker.topic(3)
    release = threading.Event()
    endpoint.decide = lambda *_: Answer() if release.wait(20) else RAISED
    for partition in range(3):
        broker.send(topic, [b"%04d" % number + b"x" * 50_000 for number in range(250)], partition)
    trigger = start_trigger(broker, topic, BatchSize=10_000)
    wait_for(lambda: trigger.status()["polled"] >= 250, "the buffers fill")
    wait_for(lambda: trigger.status()["lag"] == 750, "lag counts what is not fetched too")
    release.set()
    trigger.wait_until_caught_up()

    for partition in range(3):
        assert [int(value[:4]) for value in endpoint.accepted_values(partition)] == list(range(250))


def test_endpoint_that_is_away_loses_nothing(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    port = endpoint.port
    broker.send(topic, [b"first"])
    trigger = start_trigger(broker, topic)
    trigger.wait_until_caught_up()
    endpoint.stop()
    broker.send(topic, [b"second"])
    wait_for(lambda: trigger.status()["failed"] >= 1, "a failure")
    assert "endpoint" in trigger.status()["last_error"]
    endpoint.start(port)
    trigger.wait_until_caught_up()

    assert endpoint.accepted_values() == [b"first", b"second"]


def test_sigterm_lets_the_invocation_in_flight_finish_and_commits_it(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: Answer(seconds=1)
    broker.send(topic, values_of("a", 4))
    trigger = start_trigger(broker, topic, BatchSize=2)
    wait_for(lambda: endpoint.in_flight == 1, "an invocation")
    assert trigger.stop() == 0
    endpoint.decide = lambda *_: Answer()
    start_trigger(broker, topic).wait_until_caught_up()

    assert endpoint.accepted_values() == values_of("a", 4)


def test_sigterm_ends_in_time_when_the_function_hangs(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: Answer(seconds=15)
    broker.send(topic, [b"a"])
    trigger = start_trigger(broker, topic, "--grace-seconds", "0.5")
    wait_for(lambda: endpoint.in_flight == 1, "an invocation")
    asked = time.monotonic()
    code = trigger.stop()

    assert (code, time.monotonic() - asked < 5) == (0, True)


def test_killed_trigger_delivers_everything_in_order_after_restarts(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(PARTITIONS)
    endpoint.decide = lambda *_: Answer(seconds=0.02)
    per_partition = 3000
    sender = threading.Thread(target=_send_steadily, args=(broker, topic, per_partition))
    sender.start()
    trigger = start_trigger(broker, topic, BatchSize=50)
    for kill in range(1, 4):
        goal = len(endpoint.accepted_values()) + 400
        wait_for(lambda goal=goal: len(endpoint.accepted_values()) >= goal, f"progress before kill {kill}")
        trigger.kill()
        trigger.start()
    sender.join()
    trigger.wait_until_caught_up()

    for partition in range(PARTITIONS):
        expected = values_of(f"p{partition}", per_partition)
        assert_in_order_with_replays(endpoint.accepted_values(partition), expected)


def _send_steadily(broker: Broker, topic: str, per_partition: int) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", linger_ms=5) as producer:
        for start in range(0, per_partition, 100):
            for partition in range(PARTITIONS):
                for number in range(start, start + 100):
                    producer.send(topic, f"p{partition} {number}".encode(), partition=partition)
            producer.flush(10)
            time.sleep(0.05)


def test_racing_producers_make_no_record_skipped(
    broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = broker.topic(PARTITIONS)
    trigger = start_trigger(broker, topic, BatchSize=1000)
    arguments = [sys.executable, str(RACING_PRODUCER), broker.bootstrap, topic]
    producers = [
        subprocess.Popen([*arguments, f"r{number}", str(PARTITIONS), "3"], stdout=subprocess.PIPE)
        for number in range(PRODUCERS)
    ]
    sent = sum(int(producer.communicate()[0]) for producer in producers)
    trigger.wait_until_caught_up()

    values = endpoint.accepted_values()
    assert len(values) == len(set(values)) == sent
    for partition in range(PARTITIONS):
        offsets = [record["offset"] for call in endpoint.accepted() for record in call.records(partition)]
        assert offsets == list(range(len(offsets)))


def test_broker_that_comes_back_empty_is_read_from_its_start(
    own_broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = own_broker.topic(2)
    for partition in range(2):
        own_broker.send(topic, values_of("old", 100), partition)
    trigger = start_trigger(own_broker, topic)
    trigger.wait_until_caught_up()
    _restart_empty(own_broker, topic)
    for partition in range(2):
        own_broker.send(topic, values_of("new", 10), partition)
    _wait_for_new(endpoint, trigger, 10)

    for partition in range(2):
        assert endpoint.accepted_values(partition) == values_of("old", 100) + values_of("new", 10)


def test_broker_that_comes_back_fuller_than_before_loses_nothing(
    own_broker: Broker, endpoint: RecordingLambda, start_trigger: StartTrigger
) -> None:
    topic = own_broker.topic(2)
    for partition in range(2):
        own_broker.send(topic, values_of("old", 10), partition)
    trigger = start_trigger(own_broker, topic)
    trigger.wait_until_caught_up()
    _restart_empty(own_broker, topic)
    for partition in range(2):
        own_broker.send(topic, values_of("new", 100), partition)
    _wait_for_new(endpoint, trigger, 100)

    for partition in range(2):
        assert set(endpoint.accepted_values(partition)) == set(values_of("old", 10) + values_of("new", 100))


def _restart_empty(broker: Broker, topic: str) -> None:
    from local_runtime import tansu

    broker.kill()
    broker.start()
    tansu.create_topics(broker.bootstrap, {topic: 2})


def _wait_for_new(endpoint: RecordingLambda, trigger: Trigger, count: int) -> None:
    last = f"new {count - 1}".encode()
    wait_for(
        lambda: all(set(values_of("new", count)) <= set(endpoint.accepted_values(part)) for part in range(2)),
        f"{last!r}: {trigger.status()} {trigger.log_path.read_text()}",
    )
    trigger.wait_until_caught_up()
