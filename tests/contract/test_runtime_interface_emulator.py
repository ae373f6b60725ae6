"""Every sample event through its function in AWS's own runtime client, against the embedded stack."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from event_analytics.adapters.aws_session import aws_session
from local_runtime.settings import REPOSITORY
from tests.builders import SAMPLE_EPOCH
from tests.conftest import EmbeddedStack
from tests.contract.interface_emulator import Runtime, running_function, unpack_layer

EVENTS = REPOSITORY / "tests" / "events"
FIRST_ID = "01972b0a-5c00-7000-8000-000000000001"
USER = "sample-user-7"
DRAINED_SECONDS_MAX = 60.0  # what came within the last second is left to the next drain
REFUSED_PORT_URL = "http://127.0.0.1:1"  # nothing listens on port 1

Check = Callable[[Any], None]


def http(status: int, check: Check = lambda body: None) -> Check:
    """Check the answer of an HTTP function: the status, then the body."""

    def check_answer(answer: Any) -> None:
        assert answer.get("statusCode") == status, answer
        assert not answer.get("isBase64Encoded")
        check(json.loads(answer["body"]))

    return check_answer


def statuses(*expected: str) -> Check:
    def check(body: Any) -> None:
        assert [item["status"] for item in body["items"]] == list(expected)

    return check


def refused(reason: str) -> Check:
    def check(body: Any) -> None:
        assert body["error"]["reason"] == reason

    return check


def spooled(stack: EmbeddedStack) -> list[str]:
    """Objects of writes that are not in Kafka yet."""
    client = aws_session(stack.connection.aws_endpoint).client("s3")
    listed = client.list_objects_v2(Bucket=stack.connection.archive_bucket, Prefix="spool/v1/")
    return [entry["Key"] for entry in listed.get("Contents", []) if "lease" not in entry["Key"]]


def is_nothing(answer: Any) -> None:
    """A Kafka function returns nothing: Lambda commits the batch."""
    assert answer is None


def is_denied(answer: Any) -> None:
    [statement] = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/v1/*"


def is_the_first_event(body: Any) -> None:
    assert body["id"] == FIRST_ID
    assert body["output"] == "Unterwegs, sie kommt morgen. 📦"


def has_the_conversation(body: Any) -> None:
    assert FIRST_ID in [event["id"] for event in body["events"]]


def counts_the_user(body: Any) -> None:
    assert body["exact"] is True
    assert {"user_id": USER, "events": 2} in body["users"]


def has_latencies(body: Any) -> None:
    assert "message_sent" in [row["event_name"] for row in body["latency"]]


def is_an_erasure(body: Any) -> None:
    assert body["status"] == "accepted"
    assert UUID(body["erasure_id"])


def has_replayed_nothing(answer: Any) -> None:
    assert answer == {"replays": []}


def finds_everything_set_up(answer: Any) -> None:
    assert (answer["topics_created"], answer["topics_unlike"], answer["migrations"]) == ([], {}, [])


# (function, event) -> what AWS's documents and ours say comes back. In this order: reads follow the loads they need.
OUTCOMES: dict[tuple[str, str], Check] = {
    ("load", "msk"): is_nothing,
    ("load", "msk_with_poison"): is_nothing,
    ("load", "self_managed_kafka"): is_nothing,
    ("archive", "msk"): is_nothing,
    ("archive", "msk_with_poison"): is_nothing,
    ("archive", "self_managed_kafka"): is_nothing,
    ("ingest", "ingest_post_event"): http(202, statuses("accepted")),
    ("ingest", "ingest_put_event"): http(202, statuses("accepted")),
    ("ingest", "ingest_delete_event"): http(202, statuses("accepted")),
    ("ingest", "ingest_post_batch"): http(202, statuses("accepted", "accepted", "accepted", "rejected")),
    ("ingest", "ingest_post_events"): http(202, statuses("accepted", "accepted", "rejected")),
    ("ingest", "ingest_post_events_ndjson"): http(202, statuses("accepted", "accepted")),
    ("ingest", "ingest_post_events_still_gzipped"): http(415, refused("unsupported_encoding")),
    ("query", "query_get_event"): http(200, is_the_first_event),
    ("query", "query_get_conversation_events"): http(200, has_the_conversation),
    ("query", "query_top_users"): http(200, counts_the_user),
    ("query", "query_latency"): http(200, has_latencies),
    ("query", "query_health"): http(200),
    ("authorizer", "authorizer_request"): is_denied,
    ("admin", "admin_delete_user"): http(202, is_an_erasure),
    # Behind a load balancer the function itself checks the key, and the one in the samples is nobody's.
    ("ingest", "alb_post_events"): http(403, refused("key_invalid")),
    ("ingest", "alb_post_events_multi_value"): http(403, refused("key_invalid")),
    ("ingest", "alb_post_events_gzip"): http(403, refused("key_invalid")),
    ("query", "alb_get_top_users"): http(403, refused("key_invalid")),
    ("admin", "alb_delete_user"): http(403, refused("key_invalid")),
    ("setup", "deploy_setup"): finds_everything_set_up,
    ("report", "schedule_report"): is_nothing,
    ("replay", "schedule_replay"): has_replayed_nothing,
}


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


class Runtimes:
    """The runtime of the function under test: one process at a time, as the emulator bears no more."""

    def __init__(self, stack: EmbeddedStack, third_party: Path, logs: Path) -> None:
        self._session = aws_session(stack.connection.aws_endpoint)
        self._stack = stack
        self._third_party = third_party
        self._logs = logs
        self._running = ExitStack()
        self._key: tuple[str, tuple[tuple[str, str], ...]] | None = None
        self._runtime: Runtime | None = None

    def of(self, function: str, **changed: str) -> Runtime:
        """Return the function's runtime with the environment of its deployed twin, changes applied."""
        key = (function, tuple(sorted(changed.items())))
        if self._runtime is None or self._key != key:
            self.close()
            code = REPOSITORY / "functions" / function
            deployed = self._deployed_configuration(function)
            variables = deployed["Environment"]["Variables"] | changed
            variables["AWS_ENDPOINT_URL"] = self._stack.connection.aws_endpoint
            variables |= {"STREAM_EPOCH": SAMPLE_EPOCH} if "STREAM_EPOCH" in variables else {}
            log = self._logs / f"{function}.log"
            started = running_function(code, self._third_party, variables, deployed["Timeout"], log)
            self._runtime, self._key = self._running.enter_context(started), key
        return self._runtime

    def close(self) -> None:
        self._running.close()
        self._runtime = None

    def _deployed_configuration(self, function: str) -> dict[str, Any]:
        found = self._session.client("cloudformation").describe_stack_resource(
            StackName=self._stack.connection.stack_name, LogicalResourceId=f"{function.capitalize()}Function"
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        configuration: dict[str, Any] = self._session.client("lambda").get_function_configuration(FunctionName=name)
        return configuration


@pytest.fixture(scope="module")
def runtimes(stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtimes]:
    folder = tmp_path_factory.mktemp("runtime")
    logs = folder / "logs"
    logs.mkdir()
    started = Runtimes(stack, unpack_layer(folder / "opt"), logs)
    yield started
    started.close()


@pytest.fixture(scope="module")
def _samples_are_loaded(runtimes: Runtimes) -> None:
    assert runtimes.of("load").invoke(sample("msk")) is None


@pytest.mark.usefixtures("_samples_are_loaded")
@pytest.mark.parametrize(("function", "event"), OUTCOMES, ids=[f"{f}-{e}" for f, e in OUTCOMES])
def test_a_sample_event_has_its_documented_outcome(runtimes: Runtimes, function: str, event: str) -> None:
    answer = runtimes.of(function).invoke(sample(event))

    OUTCOMES[function, event](answer)


def test_every_sample_event_is_run_and_every_function_has_one() -> None:
    assert {f"{event}.json" for _, event in OUTCOMES} == {path.name for path in EVENTS.iterdir()}
    assert {function for function, _ in OUTCOMES} == {
        path.parent.name for path in REPOSITORY.glob("functions/*/app.py")
    }


def test_the_authorizer_lets_a_real_key_pass_with_its_scopes(runtimes: Runtimes, stack: EmbeddedStack) -> None:
    event = sample("authorizer_request")
    event["headers"]["Authorization"] = f"Bearer {stack.connection.read_key}"

    answer = runtimes.of("authorizer").invoke(event)

    [statement] = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert "read" in answer["context"]["scopes"].split()


def test_a_dead_record_is_kept_with_its_reason_and_origin(runtimes: Runtimes, stack: EmbeddedStack) -> None:
    assert runtimes.of("load").invoke(sample("msk_with_poison")) is None

    s3 = aws_session(stack.connection.aws_endpoint).client("s3")
    listed = s3.list_objects_v2(Bucket=stack.connection.archive_bucket, Prefix="dead-letters/")
    assert len(listed["Contents"]) >= 2


def test_a_batch_that_cannot_be_stored_fails_whole_so_that_it_comes_again(runtimes: Runtimes) -> None:
    answer = runtimes.of("load", CLICKHOUSE_URL=REFUSED_PORT_URL).invoke(sample("msk"))

    assert answer["errorType"] == "StoreUnavailable"


def test_a_write_that_kafka_does_not_take_is_spooled_until_the_next_drain(
    runtimes: Runtimes, stack: EmbeddedStack
) -> None:
    answer = runtimes.of("ingest", KAFKA_BOOTSTRAP="127.0.0.1:1").invoke(sample("ingest_post_event"))

    http(202, statuses("spooled"))(answer)
    deadline = time.monotonic() + DRAINED_SECONDS_MAX
    while spooled(stack):
        assert time.monotonic() < deadline
        assert runtimes.of("report").invoke({"jobs": ["drain_spool"]}) is None
    stack.wait_until_delivered()


def test_an_event_of_another_trigger_is_an_error_and_not_a_loss(runtimes: Runtimes) -> None:
    answer = runtimes.of("load").invoke({"Records": [{"eventSource": "aws:sqs"}]})

    assert answer["errorType"]


def test_a_function_writes_one_structured_line_per_invocation(runtimes: Runtimes) -> None:
    runtime = runtimes.of("query")
    lines_before = len(structured_lines(runtime))

    runtime.invoke(sample("query_health"))

    assert len(structured_lines(runtime)) == lines_before + 1


def structured_lines(runtime: Runtime) -> list[Any]:
    lines = runtime.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
