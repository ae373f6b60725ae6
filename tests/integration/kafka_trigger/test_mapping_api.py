"""Lambda's API over running mappings, asked through boto3's own client against the status port."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_runtime import lag
from local_runtime.kafka_trigger.invoker import make_client
from local_runtime.kafka_trigger.lambda_mappings import LambdaMappings, read_listed
from local_runtime.kafka_trigger.mapping_api import PATH
from local_runtime.kafka_trigger.progress import DISABLED, RUNNING, Progress
from local_runtime.kafka_trigger.properties import read_properties
from local_runtime.kafka_trigger.status import serve_status
from local_runtime.kafka_trigger.supervisor import Supervisor

GIVEN: dict[str, Any] = {"FunctionName": "f", "Topics": ["t"], "BatchSize": 7, "ConsumerGroupId": "g"}


@dataclass
class IdleRunner:
    """A runner that reads nothing."""

    progress: Progress
    name: str = ""
    stopped: Event = field(default_factory=Event)
    _thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.progress.mapping.name
        self._thread = Thread(target=self.stopped.wait, daemon=True)
        self.enable(enabled=self.progress.mapping.enabled)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()

    def join(self, _timeout: float) -> None:
        self._thread.join(5)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def enable(self, *, enabled: bool) -> None:
        self.progress.state = RUNNING if enabled else DISABLED


@pytest.fixture
def runners() -> list[IdleRunner]:
    return []


@pytest.fixture
def supervisor(runners: list[IdleRunner]) -> Iterator[Supervisor]:
    def start(progress: Progress) -> Any:
        runners.append(IdleRunner(progress))
        return runners[-1]

    supervisor = Supervisor(start, grace_seconds=1)
    supervisor.put(read_properties("m", GIVEN), "command line")
    yield supervisor
    supervisor.stop()


@pytest.fixture
def url(supervisor: Supervisor) -> Iterator[str]:
    server = serve_status(supervisor, 0, lambda mappings: {one.mapping.name: one.lag for one in mappings})
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    client = make_client("lambda", url)
    yield client
    client.close()


def test_mapping_is_listed_as_lambda_lists_it(client: Any) -> None:
    (listed,) = client.list_event_source_mappings()["EventSourceMappings"]

    assert (listed["Topics"], listed["BatchSize"], listed["State"]) == (["t"], 7, "Enabled")
    assert listed["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert client.get_event_source_mapping(UUID=listed["UUID"])["UUID"] == listed["UUID"]
    assert len(client.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]) == 1
    assert client.list_event_source_mappings(FunctionName="g")["EventSourceMappings"] == []


def test_mapping_is_paused_and_goes_on_without_a_new_start(client: Any, runners: list[IdleRunner]) -> None:
    uuid = client.list_event_source_mappings()["EventSourceMappings"][0]["UUID"]
    paused = client.update_event_source_mapping(UUID=uuid, Enabled=False)
    resumed = client.update_event_source_mapping(UUID=uuid, Enabled=True)

    assert (paused["State"], resumed["State"]) == ("Disabled", "Enabled")
    assert len(runners) == 1


def test_other_changes_start_the_mapping_anew(client: Any, runners: list[IdleRunner], supervisor: Supervisor) -> None:
    uuid = client.list_event_source_mappings()["EventSourceMappings"][0]["UUID"]
    client.update_event_source_mapping(UUID=uuid, BatchSize=9)

    assert [progress.mapping.batch_size for progress in supervisor.progress()] == [9]
    assert [runner.stopped.is_set() for runner in runners] == [True, False]


def test_mapping_is_created_and_deleted(client: Any, supervisor: Supervisor) -> None:
    created = client.create_event_source_mapping(FunctionName="other", Topics=["t"], StartingPosition="LATEST")
    names = [progress.mapping.function for progress in supervisor.progress()]
    client.delete_event_source_mapping(UUID=created["UUID"])

    assert names == ["f", "other"]
    assert [progress.mapping.function for progress in supervisor.progress()] == ["f"]


@pytest.mark.parametrize(
    ("call", "arguments", "kind"),
    [
        ("get_event_source_mapping", {"UUID": "0" * 36}, "ResourceNotFoundException"),
        ("create_event_source_mapping", {"FunctionName": "f"}, "InvalidParameterValueException"),
        (
            "create_event_source_mapping",
            {"FunctionName": "x", "Topics": ["t"], "MaximumRetryAttempts": 3},
            "InvalidParameterValueException",
        ),
        (
            "create_event_source_mapping",
            {
                "FunctionName": "x",
                "Topics": ["t"],
                "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
            },
            "InvalidParameterValueException",
        ),
    ],
)
def test_refusals_have_the_names_that_lambda_gives_them(
    client: Any, call: str, arguments: dict[str, Any], kind: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(client, call)(**arguments)

    assert refused.value.response["Error"]["Code"] == kind


def test_second_creation_is_a_conflict(client: Any) -> None:
    client.create_event_source_mapping(FunctionName="x", Topics=["t"])

    with pytest.raises(ClientError, match="ResourceConflictException"):
        client.create_event_source_mapping(FunctionName="x", Topics=["t"])


def test_web_page_cannot_create_a_mapping(url: str, supervisor: Supervisor) -> None:
    body = b'{"FunctionName":"x","Topics":["t"]}'
    request = urllib.request.Request(f"{url}{PATH}", body, {"Origin": "https://example.com"}, method="POST")

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=5)
    assert len(supervisor.progress()) == 1


def test_metrics_are_prometheus_text(url: str, supervisor: Supervisor) -> None:
    progress = supervisor.progress()[0]
    progress.polled, progress.lag, progress.lags = 42, 7, {0: 3, 1: 4}
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()

    labels = 'mapping="m",function="f",topic="t",group="g"'
    assert f"kafka_trigger_polled_events_total{{{labels}}} 42" in lines
    assert f"kafka_trigger_sum_offset_lag{{{labels}}} 7" in lines
    assert f"kafka_trigger_max_offset_lag{{{labels}}} 4" in lines
    assert f'kafka_trigger_offset_lag{{{labels},partition="1"}} 4' in lines
    assert f"kafka_trigger_enabled{{{labels}}} 1" in lines


def test_lag_and_counts_are_told_as_a_table(url: str, supervisor: Supervisor) -> None:
    progress = supervisor.progress()[0]
    progress.polled, progress.lag, progress.last_error = 42, 7, "function error"
    table = lag.describe_mappings(url)

    assert lag.read_lag(url) == {"m": 7}
    assert table[0].split()[:4] == ["mapping", "state", "lag", "polled"]
    assert table[1].split()[:4] == ["m", "running", "7", "42"]
    assert table[2] == "  function error"
    assert lag.describe_mappings("http://127.0.0.1:9") == []


def test_endpoints_own_list_is_followed(client: Any, supervisor: Supervisor, runners: list[IdleRunner]) -> None:
    """The trigger's own API stands in for an endpoint that keeps topics."""
    follower = Supervisor(lambda progress: runners.append(IdleRunner(progress)) or runners[-1], 1)  # type: ignore[func-returns-value,arg-type,return-value]
    source = LambdaMappings(client)
    follower.reconcile(source.read() or [], "lambda")
    assert [one.mapping.topic for one in follower.progress()] == ["t"]
    client.update_event_source_mapping(UUID=follower.progress()[0].mapping.uuid, Enabled=False)
    follower.reconcile(source.read() or [], "lambda")
    assert [one.state for one in follower.progress()] == [DISABLED]
    taken = dataclasses.replace(follower.progress()[0].mapping, properties={"UUID": "other"})
    assert "share topic" in str(follower.reconcile([*(source.read() or []), taken], "lambda")[0])
    client.delete_event_source_mapping(UUID=follower.progress()[0].mapping.uuid)
    follower.reconcile(source.read() or [], "lambda")

    assert follower.progress() == []


def test_listed_mapping_keeps_its_uuid_function_and_state() -> None:
    listed = {
        "UUID": "u-1",
        "FunctionArn": "arn:f",
        "Topics": ["t"],
        "State": "Disabled",
        "ParallelizationFactor": None,
    }
    mapping = read_listed(listed | {"LastProcessingResult": "OK", "ScalingConfig": {}})

    assert (mapping.uuid, mapping.function, mapping.enabled) == ("u-1", "arn:f", False)


def test_unreachable_endpoint_lists_nothing_new() -> None:
    client = make_client("lambda", "http://127.0.0.1:9")

    assert LambdaMappings(client).read() is None
    client.close()
