"""With Kafka gone, silent, deaf, slow or full, an append is in S3 within 9 seconds; then Kafka gets it, in order."""

from __future__ import annotations

import itertools
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import boto3
import pytest
from botocore.config import Config
from kafka.errors import (
    BrokerResponseError,
    KafkaStorageError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
)
from moto import mock_aws

from event_analytics.adapters.kafka_event_log import ACKNOWLEDGE_SECONDS_MAX, KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.ports import ObjectStore, Outcome
from event_analytics.routing import EVENTS_TOPIC, Record
from event_analytics.spool import SPOOL_PREFIX, decode_spool
from event_analytics.spool_drain import drain_spool
from event_analytics.spooling import OPEN_SECONDS_MAX, Breaker, SpoolingLog
from tests.fakes import FakeObjectStore

from .conftest import Broker, free_port
from .proxy import Mode, Proxy

ANSWER_SECONDS_MAX = 9.0
SHORT_SECONDS_MAX = 1.0
USERS = 5
NO_TOPIC = "not a topic's name"  # one that is only missing, this broker makes when asked about it


def now_us() -> int:
    return time.time_ns() // 1_000


def spooling(log: KafkaEventLog, spool: ObjectStore) -> SpoolingLog:
    return SpoolingLog(log, spool, lambda: uuid.uuid4().hex, now_us, breaker=Breaker(now_us, lambda: 1.0))


class Sender:
    """Sends numbered records of a few users and remembers what was promised."""

    def __init__(self, log: SpoolingLog) -> None:
        self.log = log
        self.sent: list[Record] = []
        self.outcomes: list[Outcome] = []
        self.seconds = 0.0
        self._numbers = itertools.count()

    def send(self, count: int = 20) -> set[Outcome]:
        records = [
            Record(EVENTS_TOPIC, b"u%d" % (number % USERS), b'{"n":%d}' % number, now_us() // 1_000)
            for number in itertools.islice(self._numbers, count)
        ]
        started = time.monotonic()
        outcomes = self.log.append(records)
        self.seconds = time.monotonic() - started
        self.sent += records
        self.outcomes += outcomes
        return set(outcomes)

    def of_user(self, user: int) -> list[Record]:
        return [record for record in self.sent if record.key == b"u%d" % user]


def of_user(records: Sequence[Record], user: int) -> list[Record]:
    return [record for record in records if record.key == b"u%d" % user]


def set_mode(broker: Broker, mode: Mode, delay: float = 0.0) -> None:
    broker.proxy.mode, broker.proxy.delay = mode, delay


def refuse_with(broker: Broker, error: type[BrokerResponseError]) -> None:
    broker.refusal.error_code = error.errno


OUTAGES: dict[str, Callable[[Broker], None]] = {
    "stopped": lambda broker: broker.kill(),
    "silent": lambda broker: set_mode(broker, Mode.SILENT),
    "too slow": lambda broker: set_mode(broker, Mode.SLOW, ACKNOWLEDGE_SECONDS_MAX + 2),
    "unheard": lambda broker: set_mode(broker, Mode.MUTE),
    # kafka-python sends again what the first two refuse, until the time of the request is over; not so the last.
    "full": lambda broker: refuse_with(broker, KafkaStorageError),
    "short of replicas": lambda broker: refuse_with(broker, NotEnoughReplicasError),
    "forbidding": lambda broker: refuse_with(broker, TopicAuthorizationFailedError),
}


@pytest.fixture
def sender(log: KafkaEventLog) -> Sender:
    return Sender(spooling(log, FakeObjectStore()))


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_costs_one_request_its_budget_and_every_request_is_spooled(
    broker: Broker, log: KafkaEventLog, outage: str
) -> None:
    spool = FakeObjectStore()
    sender = Sender(spooling(log, spool))
    assert sender.send() == {Outcome.ACCEPTED}
    OUTAGES[outage](broker)

    assert sender.send() == {Outcome.SPOOLED}
    assert sender.seconds < ANSWER_SECONDS_MAX
    for _ in range(5):
        assert sender.send() == {Outcome.SPOOLED}
        assert sender.seconds < SHORT_SECONDS_MAX
    kept = [record for body in spool.objects.values() for record in decode_spool(body)]
    assert kept == sender.sent[20:]


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_function_that_starts_during_an_outage_spools_as_well(broker: Broker, sender: Sender, outage: str) -> None:
    OUTAGES[outage](broker)

    assert sender.send() == {Outcome.SPOOLED}
    assert sender.seconds < ANSWER_SECONDS_MAX


@pytest.mark.parametrize("delay", [0.2, 2.0])
def test_a_broker_that_is_slow_but_in_time_is_waited_for(broker: Broker, sender: Sender, delay: float) -> None:
    sender.send()
    set_mode(broker, Mode.SLOW, delay)

    assert sender.send() == {Outcome.ACCEPTED}
    assert delay <= sender.seconds < ACKNOWLEDGE_SECONDS_MAX


def test_a_broker_that_forgot_the_producer_gets_a_new_one_within_the_same_request(
    broker: Broker, sender: Sender
) -> None:
    sender.send()
    broker.kill()
    broker.start()

    assert sender.send() == {Outcome.ACCEPTED}
    assert sender.seconds < SHORT_SECONDS_MAX
    assert len(broker.read()) == 20


def test_a_topic_that_cannot_be_had_holds_up_only_its_own_records(broker: Broker, log: KafkaEventLog) -> None:
    spool = FakeObjectStore()
    topics = [NO_TOPIC, EVENTS_TOPIC] * 3
    records = [Record(topic, b"u1", b'{"n":%d}' % n, now_us() // 1_000) for n, topic in enumerate(topics)]

    assert spooling(log, spool).append(records) == [Outcome.SPOOLED, Outcome.ACCEPTED] * 3
    assert decode_spool(*spool.objects.values()) == records[0::2]
    assert broker.read() == records[1::2]


def test_nothing_of_a_request_that_was_spooled_reaches_the_broker_later(broker: Broker, sender: Sender) -> None:
    sender.send()
    set_mode(broker, Mode.SILENT)
    assert sender.send() == {Outcome.SPOOLED}
    connections = broker.proxy.connections
    set_mode(broker, Mode.PASS)
    threads = [thread.name for thread in threading.enumerate()]

    assert not [name for name in threads if name.startswith("spool-test")], "the producer still runs"
    assert broker.proxy.connections == connections
    assert broker.read() == sorted_by_place(sender.sent[:20], broker.read())


def sorted_by_place(records: Sequence[Record], found: Sequence[Record]) -> list[Record]:
    """The records in the order in which a reader of all partitions finds them."""
    return sorted(records, key=found.index)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3ObjectStore]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="archive")
        yield S3ObjectStore("archive", client)


@pytest.mark.parametrize("outage", ["stopped", "silent", "full", "forbidding"])
def test_once_the_broker_is_back_appends_are_accepted_and_the_spool_drains_in_order(
    broker: Broker, log: KafkaEventLog, bucket: S3ObjectStore, outage: str
) -> None:
    sender = Sender(spooling(log, bucket))
    OUTAGES[outage](broker)
    for _ in range(4):
        assert sender.send() == {Outcome.SPOOLED}
    recover(broker)
    accepted = send_until_accepted(sender)
    wait_until_settled()

    drained = drain_spool(bucket, log, "drain", now_us)
    spooled = sender.outcomes.count(Outcome.SPOOLED)
    assert (drained.published, drained.left, drained.stopped) == (spooled, 0, "")
    assert not list(bucket.list(SPOOL_PREFIX))
    found = broker.read()
    for user in range(USERS):
        later = of_user(accepted, user)
        assert of_user(found, user) == later + [one for one in sender.of_user(user) if one not in later]


def recover(broker: Broker) -> None:
    if broker.process is not None and broker.process.poll() is not None:
        broker.start()
    set_mode(broker, Mode.PASS)
    broker.refusal.error_code = None


def send_until_accepted(sender: Sender) -> list[Record]:
    """The records of the first request that Kafka takes again: the first after the breaker's pause."""
    deadline = time.monotonic() + OPEN_SECONDS_MAX + 2
    while sender.send() == {Outcome.SPOOLED}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert sender.outcomes[-1] is Outcome.ACCEPTED
    return sender.sent[-20:]


def wait_until_settled() -> None:
    """A drain leaves what was accepted in the second before it began."""
    time.sleep(1.1)


def test_a_drain_stops_when_the_broker_goes_and_the_next_one_ends_it(
    broker: Broker, log: KafkaEventLog, bucket: S3ObjectStore
) -> None:
    sender = Sender(spooling(log, bucket))
    set_mode(broker, Mode.SILENT)
    sender.send()
    sender.send()
    wait_until_settled()
    stopped = drain_spool(bucket, log, "first", now_us)
    set_mode(broker, Mode.PASS)
    ended = drain_spool(bucket, log, "second", now_us)

    assert (stopped.deleted, stopped.left) == (0, 2)
    assert stopped.stopped
    assert (ended.deleted, ended.left, ended.stopped) == (2, 0, "")
    for user in range(USERS):
        assert of_user(broker.read(), user) == sender.of_user(user)


@pytest.fixture
def silent_s3() -> Iterator[S3ObjectStore]:
    with closing(Proxy(free_port())) as proxy:
        proxy.mode = Mode.SILENT
        with_time_outs = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{proxy.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=with_time_outs,
        )
        yield S3ObjectStore("archive", client)
        client.close()


def test_with_kafka_and_s3_silent_the_answer_comes_in_time_and_promises_nothing(
    broker: Broker, log: KafkaEventLog, silent_s3: S3ObjectStore
) -> None:
    sender = Sender(spooling(log, silent_s3))
    sender.send()
    set_mode(broker, Mode.SILENT)

    assert sender.send() == {Outcome.RETRY}
    assert sender.seconds < ANSWER_SECONDS_MAX
    assert set(sender.log.troubles) == {"log", "spool"}


def test_an_outage_of_many_requests_leaves_no_thread_and_no_socket(broker: Broker) -> None:
    log = KafkaEventLog(f"127.0.0.1:{free_port()}", "plaintext", client_id="spool-test")
    never_open = Breaker(lambda: 0, lambda: 0.0)
    sender = Sender(SpoolingLog(log, FakeObjectStore(), lambda: uuid.uuid4().hex, now_us, breaker=never_open))
    sender.send()
    threads = threading.active_count()
    with socket.socket() as before:
        lowest_free = before.fileno()
    sender.send()

    assert threading.active_count() <= threads
    with socket.socket() as after:
        assert after.fileno() <= lowest_free
