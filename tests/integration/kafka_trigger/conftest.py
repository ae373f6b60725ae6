"""One real broker for all, a recording Lambda endpoint per test, and triggers: in this process, or as one of their own.

Most tests play their mapping in this process, which costs no start; what is killed or signalled is a process.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from local_runtime import tansu
from local_runtime.kafka_trigger.__main__ import GIVEN, collect_mappings, make_runners
from local_runtime.kafka_trigger.arguments import build_parser
from local_runtime.kafka_trigger.supervisor import Supervisor

from .recording_lambda import RecordingLambda

REPOSITORY = Path(__file__).resolve().parents[3]
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
    """Tansu on memory; `restart` loses everything, as a machine's restart does."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            tansu.broker_command(self.port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._accepts, "the broker listens")

    def _accepts(self) -> bool:
        with closing(socket.socket()) as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def topic(self, partitions: int = 1) -> str:
        name = f"t{uuid.uuid4().hex[:8]}"
        tansu.create_topics(self.bootstrap, {name: partitions})
        return name

    def send(self, topic: str, values: list[bytes], partition: int = 0, **more: Any) -> None:
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5, max_request_size=16_000_000)
        with closing(producer):
            for sent in [producer.send(topic, value, partition=partition, **more) for value in values]:
                sent.get(10)


@dataclass
class Trigger:
    """The trigger as a process of its own, as people run it."""

    arguments: list[str]
    log_path: Path
    status_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        command = [sys.executable, "-m", "local_runtime.kafka_trigger", *self.arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--status-port", str(self.status_port)],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={"PYTHONPATH": str(REPOSITORY / "localstack"), "HOME": str(self.log_path.parent)},
            )
        if wait:
            wait_for(self.is_ready, f"the trigger is ready: {self.log_path.read_text()}")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/ready", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/", timeout=5) as answer:
            return dict(json.load(answer)["mappings"][0])

    def wait_until_caught_up(self) -> None:
        wait_for(lambda: self.status()["lag"] == 0, "lag is 0")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)


@dataclass
class Player:
    """A trigger in this process, with one mapping."""

    supervisor: Supervisor

    def status(self) -> dict[str, Any]:
        (progress,) = self.supervisor.progress()
        return progress.describe()

    def pause(self) -> None:
        self.enable(enabled=False)
        wait_for(lambda: self.status()["state"] == "disabled", "the mapping is paused")

    def enable(self, *, enabled: bool) -> None:
        (progress,) = self.supervisor.progress()
        self.supervisor.put(dataclasses.replace(progress.mapping, enabled=enabled), GIVEN)

    def wait_until_caught_up(self) -> None:
        wait_for(lambda: self.status()["lag"] == 0, f"lag is 0: {self.status()}")


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def endpoint() -> Iterator[RecordingLambda]:
    endpoint = RecordingLambda()
    endpoint.start()
    yield endpoint
    endpoint.stop()


StartTrigger = Callable[..., Trigger]
Play = Callable[..., Player]


def arguments_of(broker: Broker, endpoint_url: str, topic: str, more: tuple[str, ...], **properties: Any) -> list[str]:
    mapping = {
        "Name": "m",
        "FunctionName": "f",
        "Topics": [topic],
        "ConsumerGroupId": f"g-{topic}",
        "MaximumBatchingWindowInSeconds": 0,
        **properties,
    }
    servers = ["--bootstrap-servers", broker.bootstrap, "--kafka", "tansu", "--endpoint-url", endpoint_url]
    return [*servers, "--mapping", json.dumps(mapping), "--backoff-seconds-max", "0.2", *more]


@pytest.fixture
def play(endpoint: RecordingLambda) -> Iterator[Play]:
    started: list[Player] = []

    def start(
        broker: Broker, topic: str, *more: str, endpoint_url: str | None = None, wait: bool = True, **properties: Any
    ) -> Player:
        url = endpoint_url or f"http://127.0.0.1:{endpoint.port}"
        options = build_parser().parse_args(arguments_of(broker, url, topic, more, **properties))
        mappings = collect_mappings(options)
        player = Player(Supervisor(make_runners(options), grace_seconds=0.5))
        started.append(player)
        player.supervisor.reconcile(mappings, GIVEN)
        if wait:
            wait_for(lambda: player.status()["state"] in ("running", "disabled"), "the mapping reads its topic")
        return player

    yield start
    endpoint.release.set()
    for player in started:
        player.supervisor.stop()


@pytest.fixture
def start_trigger(endpoint: RecordingLambda, tmp_path: Path) -> Iterator[StartTrigger]:
    started: list[Trigger] = []

    def start(broker: Broker, topic: str, *more: str, wait: bool = True, **properties: Any) -> Trigger:
        arguments = arguments_of(broker, f"http://127.0.0.1:{endpoint.port}", topic, more, **properties)
        trigger = Trigger(arguments, tmp_path / "trigger.log")
        started.append(trigger)
        trigger.start(wait=wait)
        return trigger

    yield start
    for trigger in started:
        if trigger.process is not None and trigger.process.poll() is None:
            trigger.kill()
