"""HTTP writes -> Kafka, with a log that does what the test says."""

import json
from typing import Any

import pytest

from event_analytics.errors import Refused
from event_analytics.event import EVENT_BYTES_MAX
from event_analytics.http_exchange import Answer
from event_analytics.observability import InvocationLine
from event_analytics.ports import Outcome
from functions.ingest.app import Deps, handle_event, handle_events
from tests.builders import ACCEPTED_US, UUID4, UUID7, a_request, an_event
from tests.fakes import FakeDurableLog, FakeKeySource


class Ingest:
    """The function with fakes around it."""

    def __init__(self) -> None:
        self.log = FakeDurableLog()
        self.keys = FakeKeySource()
        self.deps = Deps(log=self.log, keys=self.keys, now_us=lambda: ACCEPTED_US)
        self.line = InvocationLine()

    def post_event(self, body: object, **fields: Any) -> Answer:
        return handle_event(a_request(body, key=self.keys.write_key, **fields), self.deps, self.line)

    def post_events(self, body: object, **fields: Any) -> Answer:
        return handle_events(a_request(body, key=self.keys.write_key, **fields), self.deps, self.line)


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


def items_of(answer: Answer) -> list[dict[str, Any]]:
    return list(json.loads(answer.body)["items"])


def test_one_event_is_appended_and_answered_with_its_id(ingest: Ingest) -> None:
    answer = ingest.post_event(an_event())

    assert answer.status == 202
    assert json.loads(answer.body) == {
        "accepted": 1,
        "rejected": 0,
        "items": [{"id": UUID7, "status": "accepted"}],
    }
    assert [(record.topic, record.key) for record in ingest.log.records] == [("events", b"u1")]


def test_minted_ids_are_returned(ingest: Ingest) -> None:
    (item,) = items_of(ingest.post_event(an_event(id=None)))

    assert item["id"] == json.loads(ingest.log.records[0].value)["id"]


def test_a_bad_event_never_fails_its_neighbours(ingest: Ingest) -> None:
    answer = ingest.post_events({"events": [an_event(), an_event(id=UUID4), an_event(user_id=7), an_event()]})

    items = items_of(answer)
    assert answer.status == 202
    assert [item["status"] for item in items] == ["accepted", "rejected", "rejected", "accepted"]
    assert (items[1]["reason"], items[1]["field"]) == ("timestamp_required", "timestamp")
    assert (items[2]["reason"], items[2]["field"]) == ("wrong_type", "user_id")
    assert len(ingest.log.records) == 2


def test_a_single_bad_event_is_the_whole_answer(ingest: Ingest) -> None:
    with pytest.raises(Refused) as refused:
        ingest.post_event(an_event(event_name=None))

    assert (str(refused.value.reason), refused.value.status) == ("field_missing", 400)


def test_ndjson_is_read_line_by_line(ingest: Ingest) -> None:
    body = json.dumps(an_event()) + "\n{\n" + json.dumps(an_event())

    items = items_of(ingest.post_events(body, headers={"content-type": "application/x-ndjson"}))

    assert [item["status"] for item in items] == ["accepted", "rejected", "accepted"]
    assert items[1]["reason"] == "json_invalid"


def test_an_event_over_900_kb_is_rejected_alone(ingest: Ingest) -> None:
    answer = ingest.post_events({"events": [an_event(output="x" * EVENT_BYTES_MAX), an_event()]})

    first, second = items_of(answer)
    assert (first["status"], first["reason"]) == ("rejected", "event_too_large")
    assert second["status"] == "accepted"


def test_only_what_the_broker_acknowledged_is_accepted(ingest: Ingest) -> None:
    ingest.log.refuse_after = 1

    answer = ingest.post_events({"events": [an_event(), an_event()]})

    assert answer.status == 202
    assert [(item["status"], item.get("reason")) for item in items_of(answer)] == [
        ("accepted", None),
        ("retry", "log_unavailable"),
    ]


def test_nothing_acknowledged_is_503_with_the_ids_to_send_again(ingest: Ingest) -> None:
    ingest.log.refuse_after = 0

    answer = ingest.post_events({"events": [an_event(id=None)]})

    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert items_of(answer)[0]["id"]


def test_what_only_s3_took_is_spooled(ingest: Ingest) -> None:
    ingest.log.refuse_after = 1
    ingest.log.overflow = Outcome.SPOOLED

    answer = ingest.post_events({"events": [an_event(), an_event()]})

    assert (answer.status, json.loads(answer.body)["accepted"]) == (202, 2)
    assert [item["status"] for item in items_of(answer)] == ["accepted", "spooled"]
    assert ingest.line.counts["spooled_events"] == 1


def test_an_idempotency_key_makes_a_retry_the_same_events(ingest: Ingest) -> None:
    body = {"events": [an_event(id=None, timestamp=1_780_000_000_000)] * 2}

    first, again = (items_of(ingest.post_events(body, headers={"idempotency-key": "k"})) for _ in range(2))

    assert first == again
    assert first[0]["id"] != first[1]["id"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
def test_refuses_an_unusable_idempotency_key(ingest: Ingest, key: str) -> None:
    with pytest.raises(Refused) as refused:
        ingest.post_event(an_event(), headers={"idempotency-key": key})

    assert str(refused.value.reason) == "idempotency_key_invalid"


def test_the_line_counts_what_happened(ingest: Ingest) -> None:
    ingest.post_events({"events": [an_event(), an_event(user_id=7)]})

    assert ingest.line.counts["accepted_events"] == 1
    assert ingest.line.counts["rejected_events"] == 1


def test_a_reading_key_may_not_write(ingest: Ingest) -> None:
    with pytest.raises(Refused) as refused:
        handle_event(a_request(an_event(), key=ingest.keys.read_key), ingest.deps, ingest.line)

    assert (str(refused.value.reason), refused.value.status) == ("scope_missing", 403)


def test_the_authorizers_caller_needs_no_second_look_at_the_key(ingest: Ingest) -> None:
    request = a_request(an_event(), authorizer={"key_id": "k", "scopes": "write"})

    assert handle_event(request, ingest.deps, ingest.line).status == 202
