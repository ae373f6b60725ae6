"""A real broker behind a proxy that can fail, and readers of what arrived."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.routing import EVENTS_TOPIC, Record
from local_runtime import tansu

from .proxy import Proxy
from .refusal import Refusal

PARTITIONS = 4
WAIT_SECONDS = 20.0


def wait_for(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Broker:
    """Tansu on memory behind a proxy, whose address it tells to clients. Killed, it forgets everything."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.refusal = Refusal()
        self.proxy = Proxy(self.port, self.refusal)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.proxy.port}"

    @property
    def direct(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = tansu.broker_command(self.port)
        place = command.index("--advertised-listener-url") + 1
        command[place] = f"tcp://{self.bootstrap}"
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._accepts, "the broker listens")
        tansu.create_topics(self.bootstrap, {EVENTS_TOPIC: PARTITIONS})

    def _accepts(self) -> bool:
        with closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.kill()
        self.proxy.close()

    def read(self) -> list[Record]:
        """All records of the topic, per partition in the order of offsets."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        places = [TopicPartition(EVENTS_TOPIC, number) for number in range(PARTITIONS)]
        found: dict[Any, list[Record]] = {place: [] for place in places}
        with closing(consumer):
            consumer.assign(places)
            consumer.seek_to_beginning()
            deadline = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < deadline:
                for place, batch in consumer.poll(200).items():
                    found[place] += [Record(EVENTS_TOPIC, one.key, one.value, one.timestamp) for one in batch]
                if all(consumer.highwater(place) == len(found[place]) for place in places):
                    break
        return [record for place in places for record in found[place]]


@pytest.fixture
def broker() -> Iterator[Broker]:
    started = Broker()
    started.start()
    yield started
    started.stop()


@pytest.fixture
def log(broker: Broker) -> Iterator[KafkaEventLog]:
    opened = KafkaEventLog(broker.bootstrap, "plaintext", client_id="spool-test")
    yield opened
    opened.close()
