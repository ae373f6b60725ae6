"""At least once and in order, whatever ends or is away: the trigger itself, the endpoint, the broker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from .conftest import Broker, Play, Player, StartTrigger, wait_for
from .recording_lambda import RAISED, Answer, RecordingLambda

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


def test_slow_partition_does_not_hold_up_the_others(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(2)
    release = threading.Event()

    def decide(_: str, event: dict[str, Any]) -> Answer:
        if f"{topic}-0" in event["records"]:
            release.wait(20)
        return Answer()

    endpoint.decide = decide
    player = play(broker, topic, BatchSize=10)
    broker.send(topic, values_of("slow", 10), 0)
    wait_for(lambda: endpoint.in_flight == 1, "the slow one runs")
    broker.send(topic, values_of("fast", 50), 1)
    broker.send(topic, values_of("slow again", 10), 0)
    wait_for(lambda: len(endpoint.accepted_values(1)) == 50, "the fast partition")
    seen_while_slow = endpoint.accepted_values(0)
    release.set()
    player.wait_until_caught_up()

    assert seen_while_slow == []
    assert endpoint.accepted_values(0) == values_of("slow", 10) + values_of("slow again", 10)


def test_partitions_are_invoked_side_by_side_up_to_the_limit(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(4)
    endpoint.decide = lambda *_: Answer(seconds=0.3)
    for partition in range(4):
        broker.send(topic, values_of(f"p{partition}", 20), partition)
    player = play(broker, topic, "--max-in-flight", "3", BatchSize=10)
    player.wait_until_caught_up()

    assert endpoint.in_flight_max == 3
    for partition in range(4):
        assert endpoint.accepted_values(partition) == values_of(f"p{partition}", 20)


def test_backlog_beyond_the_buffers_is_set_aside_and_delivered_once_the_function_recovers(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    """Every partition has more than one payload waiting, so fetching stops and goes on for each."""
    topic = broker.topic(3)
    release = threading.Event()
    endpoint.decide = lambda *_: Answer() if release.wait(20) else RAISED
    for partition in range(3):
        broker.send(topic, [b"%04d" % number + b"x" * 50_000 for number in range(250)], partition)
    player = play(broker, topic, BatchSize=10_000)
    wait_for(lambda: player.status()["polled"] >= 250, "the buffers fill")
    wait_for(lambda: player.status()["lag"] == 750, "lag counts what is not fetched too")
    release.set()
    player.wait_until_caught_up()

    for partition in range(3):
        assert [int(value[:4]) for value in endpoint.accepted_values(partition)] == list(range(250))


def test_endpoint_that_is_away_loses_nothing(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    port = endpoint.port
    broker.send(topic, [b"first"])
    player = play(broker, topic)
    player.wait_until_caught_up()
    endpoint.stop()
    broker.send(topic, [b"second"])
    wait_for(lambda: player.status()["failed"] >= 1, "a failure")
    assert "endpoint" in player.status()["last_error"]
    endpoint.start(port)
    player.wait_until_caught_up()

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


def test_racing_producers_make_no_record_skipped(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(PARTITIONS)
    player = play(broker, topic, BatchSize=1000)
    arguments = [sys.executable, str(RACING_PRODUCER), broker.bootstrap, topic]
    producers = [
        subprocess.Popen([*arguments, f"r{number}", str(PARTITIONS), "3"], stdout=subprocess.PIPE)
        for number in range(PRODUCERS)
    ]
    sent = sum(int(producer.communicate()[0]) for producer in producers)
    player.wait_until_caught_up()

    values = endpoint.accepted_values()
    assert len(values) == len(set(values)) == sent
    for partition in range(PARTITIONS):
        offsets = [record["offset"] for call in endpoint.accepted() for record in call.records(partition)]
        assert offsets == list(range(len(offsets)))


def test_broker_that_comes_back_empty_is_read_from_its_start(
    own_broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = own_broker.topic(2)
    for partition in range(2):
        own_broker.send(topic, values_of("old", 100), partition)
    player = play(own_broker, topic)
    player.wait_until_caught_up()
    _restart_empty(own_broker, topic)
    for partition in range(2):
        own_broker.send(topic, values_of("new", 10), partition)
    _wait_for_new(endpoint, player, 10)

    for partition in range(2):
        assert endpoint.accepted_values(partition) == values_of("old", 100) + values_of("new", 10)


def test_broker_that_comes_back_fuller_than_before_loses_nothing(
    own_broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = own_broker.topic(2)
    for partition in range(2):
        own_broker.send(topic, values_of("old", 10), partition)
    player = play(own_broker, topic)
    player.wait_until_caught_up()
    _restart_empty(own_broker, topic)
    for partition in range(2):
        own_broker.send(topic, values_of("new", 100), partition)
    _wait_for_new(endpoint, player, 100)

    for partition in range(2):
        assert set(endpoint.accepted_values(partition)) == set(values_of("old", 10) + values_of("new", 100))


def _restart_empty(broker: Broker, topic: str) -> None:
    from local_runtime import tansu

    broker.kill()
    broker.start()
    tansu.create_topics(broker.bootstrap, {topic: 2})


def _wait_for_new(endpoint: RecordingLambda, player: Player, count: int) -> None:
    last = f"new {count - 1}".encode()
    wait_for(
        lambda: all(set(values_of("new", count)) <= set(endpoint.accepted_values(part)) for part in range(2)),
        f"{last!r}: {player.status()}",
    )
    player.wait_until_caught_up()


def test_broker_that_comes_back_empty_gets_no_topic_from_the_trigger(
    own_broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    """The broker makes any topic that is asked for by name, with its own number of partitions."""
    from kafka import KafkaAdminClient

    topic = own_broker.topic(2)
    play(own_broker, topic).wait_until_caught_up()
    own_broker.kill()
    own_broker.start()
    own_broker.topic(1)
    admin = KafkaAdminClient(bootstrap_servers=own_broker.bootstrap)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert topic not in admin.list_topics()
    admin.close()


def test_trigger_waits_for_a_topic_that_is_created_later(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    from local_runtime import tansu

    topic = f"{broker.topic(1)}-later"
    player = play(broker, topic, wait=False)
    wait_for(lambda: "does not exist" in str(player.status()["last_error"]), "the topic is missed")
    tansu.create_topics(broker.bootstrap, {topic: 2})
    broker.send(topic, [b"one"], 1)
    wait_for(endpoint.accepted_values, "a record")

    assert endpoint.accepted_values() == [b"one"]
