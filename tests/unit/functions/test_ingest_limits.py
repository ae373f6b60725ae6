"""What one key may send through ingest, and what of it is counted."""

import json

import pytest

from event_analytics.decode import BODY_BYTES_MAX
from event_analytics.errors import Refused
from event_analytics.key_budget import KeyBudget
from event_analytics.observability import InvocationLine
from functions.ingest.app import Deps, handle_event, handle_events
from tests.builders import ACCEPTED_US, a_request, an_event
from tests.fakes import FakeDurableLog, FakeKeySource

RATE = 100_000


class Ingest:
    """The function with a budget and a clock of the test's own."""

    def __init__(self) -> None:
        self.log, self.keys, self.line = FakeDurableLog(), FakeKeySource(), InvocationLine()
        self.now_us = ACCEPTED_US
        self.deps = Deps(self.log, self.keys, lambda: self.now_us, budget=KeyBudget(RATE, BODY_BYTES_MAX))

    def post(self, body: object, key_id: str = "app") -> int:
        authorizer = {"key_id": key_id, "scopes": "write"}
        return handle_events(a_request(body, authorizer=authorizer), self.deps, self.line).status


def test_a_key_that_floods_is_told_how_long_to_wait_and_others_are_served() -> None:
    ingest = Ingest()
    largest = {"events": [an_event(output="x" * 800_000)] * 4}
    assert ingest.post(largest) == 202
    taken = len(ingest.log.records)

    with pytest.raises(Refused) as refused:
        ingest.post(largest)

    assert (refused.value.reason, refused.value.status) == ("throttled", 429)
    assert len(ingest.log.records) == taken
    assert ingest.post({"events": [an_event()]}, key_id="another") == 202
    ingest.now_us += refused.value.retry_after_seconds * 1_000_000  # type: ignore[operator]
    assert ingest.post(largest) == 202


def test_a_flood_is_refused_before_anything_is_decoded() -> None:
    ingest = Ingest()
    nonsense = "[" * (BODY_BYTES_MAX - 1)

    reasons = []
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            ingest.post(nonsense)
        reasons.append(refused.value.reason)

    assert reasons == ["json_too_deep", "throttled"]


def test_a_key_without_the_scope_spends_nothing_of_anyone() -> None:
    ingest = Ingest()
    for _ in range(10):
        with pytest.raises(Refused):
            handle_event(a_request("x" * 3_000_000, key=ingest.keys.read_key), ingest.deps, ingest.line)

    assert ingest.post({"events": [an_event()]}, key_id="read") == 202


def test_the_line_says_whose_request_it_was_and_why_events_were_refused() -> None:
    ingest = Ingest()

    ingest.post({"events": [an_event(), an_event(user_id=7), an_event(event_name=None), an_event(user_id=8)]})

    assert ingest.line.fields["key_id"] == "app"
    assert {name: count for name, count in ingest.line.counts.items() if name.startswith("rejected")} == {
        "rejected_wrong_type": 2,
        "rejected_field_missing": 1,
        "rejected_events": 3,
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("x" * (BODY_BYTES_MAX + 1), "body_too_large"),
        (json.dumps({"events": [an_event()] * 5_001}), "too_many_events"),
        ("[" * 100_000, "json_too_deep"),
        ('{"events":' * 100_000, "json_too_deep"),
        ('{"events":[' + json.dumps(an_event()) + "," + '{"a":' * 10_000 + "1" + "}" * 10_000 + "]}", "json_too_deep"),
    ],
)
def test_what_is_too_large_or_too_deep_is_refused_by_name(body: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        Ingest().post(body)

    assert refused.value.reason == reason


@pytest.mark.parametrize("depth", [21, 500])
def test_an_event_that_is_too_deep_is_refused_by_name_and_its_neighbour_is_taken(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for field in ("properties", "conversation_metadata"):
        ingest = Ingest()
        bad = json.dumps(an_event()).replace('"user_id"', f'"{field}": {deep}, "user_id"')
        body = f'{{"events": [{bad}, {json.dumps(an_event())}]}}'
        request = a_request(body, authorizer={"key_id": "app", "scopes": "write"})

        answer = json.loads(handle_events(request, ingest.deps, ingest.line).body)

        assert [item.get("reason") for item in answer["items"]] == ["json_too_deep", None], field


def test_the_reasons_of_the_gateway_are_explained_where_ours_are() -> None:
    assert Refused("quota_exceeded", "as API Gateway says it").status == 429  # type: ignore[arg-type]
