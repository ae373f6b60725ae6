"""Conformance to Lambda's event source mapping, points 9 to 16 and 22 to 24: what comes after a failure."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .conftest import Broker, Play, wait_for
from .recording_lambda import BAD_GATEWAY, MISSING, RAISED, THROTTLED, TIMED_OUT, Answer, RecordingLambda

PROVISIONED = {"ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 1}}
REPORTING = {**PROVISIONED, "FunctionResponseTypes": ["ReportBatchItemFailures"]}
NOWHERE = {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:none"}}}


def values_of(prefix: str, count: int) -> list[bytes]:
    return [f"{prefix} {number}".encode() for number in range(count)]


def values_in(event: dict[str, Any]) -> list[bytes]:
    from base64 import b64decode

    return [b64decode(record["value"]) for part in event["records"].values() for record in part]


def fail_on(bad: bytes) -> Any:
    return lambda _, event: RAISED if bad in values_in(event) else Answer()


def report(topic: str, *offsets: int) -> Answer:
    items = [{"itemIdentifier": {"partition": f"{topic}-0", "offset": offset}} for offset in offsets]
    return Answer(body=json.dumps({"batchItemFailures": items}).encode())


def test_point_09_failed_batch_is_sent_again_unchanged_until_it_succeeds(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(2)
    answers = iter([RAISED, TIMED_OUT, THROTTLED, BAD_GATEWAY, MISSING])
    endpoint.decide = lambda *_: next(answers, Answer())
    broker.send(topic, values_of("a", 3), 0)
    broker.send(topic, values_of("b", 2), 1)
    player = play(broker, topic, BatchSize=5, MaximumBatchingWindowInSeconds=2)
    player.wait_until_caught_up()

    assert len(endpoint.calls) == 6
    assert all(call.event == endpoint.calls[0].event for call in endpoint.calls)
    assert len(endpoint.calls[0].event["records"]) == 2
    status = player.status()
    assert [status[key] for key in ("invocations", "failed_invocations", "failed")] == [6, 5, 25]
    assert status["last_error"] is None


def test_point_09_poisoned_partition_blocks_only_itself(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    """The batch of all partitions fails as a whole until the trigger scales; then each has a poller of its own."""
    topic = broker.topic(3)
    endpoint.decide = lambda _, event: RAISED if f"{topic}-1" in event["records"] else Answer()
    for partition in range(3):
        broker.send(topic, values_of(f"p{partition}", 5), partition)
    player = play(broker, topic, "--scaling-seconds", "0.5", MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 10, "the other partitions")
    assert len(endpoint.calls[0].event["records"]) == 3
    for partition in range(3):
        broker.send(topic, values_of(f"q{partition}", 5), partition)
    wait_for(lambda: len(endpoint.accepted_values()) == 20, "the other partitions go on")
    assert player.status()["pollers"] == 3
    endpoint.decide = lambda *_: Answer()
    wait_for(lambda: len(endpoint.accepted_values()) == 30, "the partition once healed")

    for partition in range(3):
        expected = values_of(f"p{partition}", 5) + values_of(f"q{partition}", 5)
        assert endpoint.accepted_values(partition) == expected


def test_point_09_partitions_of_other_pollers_go_on_while_a_batch_fails(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(4)
    endpoint.decide = lambda _, event: RAISED if f"{topic}-0" in event["records"] else Answer()
    pollers = {"ProvisionedPollerConfig": {"MinimumPollers": 2, "MaximumPollers": 2}}
    for partition in range(4):
        broker.send(topic, values_of(f"p{partition}", 5), partition)
    play(broker, topic, **pollers, MaximumBatchingWindowInSeconds=1)
    wait_for(lambda: len(endpoint.accepted_values()) == 10, "the partitions of the other poller")
    wait_for(lambda: len(endpoint.calls) >= 4, "tries of the failing batch")

    assert {key for call in endpoint.accepted() for key in call.event["records"]} == {f"{topic}-1", f"{topic}-3"}
    failed = [call for call in endpoint.calls if call.answer is RAISED]
    assert all(set(call.event["records"]) == {f"{topic}-0", f"{topic}-2"} for call in failed)


def test_point_10_limit_of_n_retries_means_n_more_invocations_and_then_the_next_records(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    endpoint.decide = fail_on(b"a 0")
    broker.send(topic, values_of("a", 2))
    player = play(broker, topic, **PROVISIONED, BatchSize=1, MaximumRetryAttempts=2)
    player.wait_until_caught_up()

    assert [call.values() for call in endpoint.calls] == [[b"a 0"]] * 3 + [[b"a 1"]]
    assert [player.status()[key] for key in ("dropped", "committed", "delivered")] == [1, 2, 0]


def test_point_11_infinite_retries_with_a_destination_are_ten(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: RAISED
    broker.send(topic, [b"a"])
    player = play(broker, topic, "--backoff-seconds-max", "0.01", **NOWHERE)
    wait_for(lambda: "destination" in str(player.status()["last_error"]), "the destination is tried")

    assert len(endpoint.calls) == 11
    assert player.status()["lag"] == 1  # the destination does not have it yet: nothing is committed


def test_point_12_record_past_its_age_is_given_up_without_an_invocation(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    now_ms = int(time.time() * 1000)
    broker.send(topic, [b"old"], timestamp_ms=now_ms - 61_000)
    broker.send(topic, [b"young"], timestamp_ms=now_ms)
    player = play(broker, topic, **PROVISIONED, MaximumRecordAgeInSeconds=60)
    player.wait_until_caught_up()

    assert [call.values() for call in endpoint.calls] == [[b"young"]]
    assert player.status()["dropped"] == 1


def test_point_13_bisecting_isolates_the_record(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    endpoint.decide = fail_on(b"a 1")
    broker.send(topic, values_of("a", 4))
    player = play(
        broker,
        topic,
        **PROVISIONED,
        BatchSize=4,
        MaximumBatchingWindowInSeconds=2,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=0,
    )
    player.wait_until_caught_up()

    assert endpoint.counts() == [4, 2, 1, 1, 2]
    assert endpoint.accepted_values() == [b"a 0", b"a 2", b"a 3"]
    assert player.status()["dropped"] == 1


def test_point_14_only_reported_records_are_sent_again(broker: Broker, endpoint: RecordingLambda, play: Play) -> None:
    topic = broker.topic(1)
    answers = iter([report(topic, 1, 3), report(topic, 3)])
    endpoint.decide = lambda *_: next(answers, Answer())
    broker.send(topic, values_of("a", 5))
    player = play(broker, topic, **REPORTING, BatchSize=5, MaximumBatchingWindowInSeconds=2)
    player.wait_until_caught_up()

    assert [call.values() for call in endpoint.calls] == [values_of("a", 5), [b"a 1", b"a 3"], [b"a 3"]]
    assert player.status()["committed"] == 5


def test_point_14_nothing_behind_a_reported_record_is_committed(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: report(topic, 2)
    broker.send(topic, values_of("a", 5))
    player = play(broker, topic, **REPORTING, BatchSize=5, MaximumBatchingWindowInSeconds=2)
    wait_for(lambda: len(endpoint.calls) > 2, "retries of one record")

    wait_for(lambda: player.status()["committed"] == 2, "what lies before it is committed")
    assert player.status()["lag"] == 3


@pytest.mark.parametrize("identifier", ["", {"partition": "other-0", "offset": 1}, {"partition": 0, "offset": "1"}])
def test_point_15_bad_identifier_fails_the_whole_batch(
    broker: Broker, endpoint: RecordingLambda, play: Play, identifier: Any
) -> None:
    topic = broker.topic(1)
    bad = Answer(body=json.dumps({"batchItemFailures": [{"itemIdentifier": identifier}]}).encode())
    answers = iter([bad])
    endpoint.decide = lambda *_: next(answers, Answer())
    broker.send(topic, values_of("a", 3))
    play(broker, topic, **REPORTING, BatchSize=3, MaximumBatchingWindowInSeconds=2).wait_until_caught_up()

    assert [call.values() for call in endpoint.calls] == [values_of("a", 3)] * 2


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}'])
def test_point_16_answer_without_failures_is_success(
    broker: Broker, endpoint: RecordingLambda, play: Play, body: bytes
) -> None:
    topic = broker.topic(1)
    endpoint.decide = lambda *_: Answer(body=body)
    broker.send(topic, values_of("a", 3))
    play(broker, topic, **REPORTING).wait_until_caught_up()

    assert endpoint.accepted_values() == values_of("a", 3)


def test_point_22_rebalance_amid_a_batch_delivers_again_with_other_borders(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    """The chaos that breaks whoever removes duplicates by batch borders alone."""
    topic = broker.topic(4)
    endpoint.decide = lambda *_: Answer(seconds=0.05)
    player = play(broker, topic, "--chaos-rebalance-seconds", "0.2", BatchSize=40)
    for start in range(0, 400, 100):
        for partition in range(4):
            values = [f"p{partition} {number}".encode() for number in range(start, start + 100)]
            broker.send(topic, values, partition)
    player.wait_until_caught_up()

    assert player.status()["rebalances"] >= 2
    for partition in range(4):
        seen = endpoint.accepted_values(partition)
        assert list(dict.fromkeys(seen)) == values_of(f"p{partition}", 400)
    assert len(endpoint.accepted_values()) > 1600


def test_point_23_function_that_times_out_is_a_failure_of_the_batch(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(1)
    answers = iter([TIMED_OUT])
    endpoint.decide = lambda *_: next(answers, Answer())
    broker.send(topic, values_of("a", 2))
    player = play(broker, topic, **PROVISIONED, BatchSize=2, MaximumBatchingWindowInSeconds=2, MaximumRetryAttempts=1)
    player.wait_until_caught_up()

    assert [call.values() for call in endpoint.calls] == [values_of("a", 2)] * 2
    assert player.status()["dropped"] == 0


def test_point_24_throttling_lowers_how_many_run_at_once_and_costs_no_retry(
    broker: Broker, endpoint: RecordingLambda, play: Play
) -> None:
    topic = broker.topic(4)
    limit = 2

    def decide(*_: Any) -> Answer:
        return THROTTLED if endpoint.in_flight > limit else Answer(seconds=0.05)

    endpoint.decide = decide
    for partition in range(4):
        broker.send(topic, values_of(f"p{partition}", 40), partition)
    player = play(broker, topic, **PROVISIONED, BatchSize=5, MaximumRetryAttempts=0)
    player.wait_until_caught_up()

    status = player.status()
    assert status["throttled_invocations"] > 0
    assert (status["dropped"], status["committed"]) == (0, 160)
    assert status["throttled_invocations"] < len(endpoint.accepted())
    for partition in range(4):
        assert endpoint.accepted_values(partition) == values_of(f"p{partition}", 40)
