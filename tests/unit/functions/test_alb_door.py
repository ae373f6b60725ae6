"""Real events of an Application Load Balancer through the same routes and handlers as API Gateway's."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.adapters.alb_door import ANSWER_BYTES_MAX, call_app
from event_analytics.decode import BODY_BYTES_MAX
from event_analytics.observability import Telemetry
from event_analytics.settings import ObservabilitySettings
from functions.admin import app as admin
from functions.ingest import app as ingest
from functions.query import app as query
from local_runtime.settings import REPOSITORY
from tests.builders import ACCEPTED_US
from tests.fakes import FakeDurableLog, FakeEventLog, FakeEventStore, FakeKeySource, FakeObjectStore

EVENTS = REPOSITORY / "tests" / "events"
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
FORGED = {"principalId": "root", "key_id": "root", "scopes": "write read admin"}
POSTS = ("alb_post_events", "alb_post_events_multi_value", "alb_post_events_gzip")


class Door:
    """All three functions behind one load balancer, with fakes around them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys, self.log, self.store, self.objects = (
            FakeKeySource(),
            FakeDurableLog(),
            FakeEventStore(),
            FakeObjectStore(),
        )
        deps = {
            ingest: ingest.Deps(log=self.log, keys=self.keys, now_us=lambda: ACCEPTED_US),
            query: query.Deps(store=self.store, objects=self.objects, keys=self.keys, now=lambda: NOW),
            admin: admin.Deps(objects=self.objects, log=FakeEventLog(), keys=self.keys, now=lambda: NOW),
        }
        self.telemetry = Telemetry(ObservabilitySettings.from_env({}), "door")
        for module, given in deps.items():
            monkeypatch.setattr(module, "_deps", lambda given=given: given)
            monkeypatch.setattr(module, "_telemetry", lambda: self.telemetry)

    def call(self, module: Any, event: dict[str, Any], origin: str = "") -> dict[str, Any]:
        return dict(call_app(module.app, event, None, lambda: origin))


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    return Door(monkeypatch)


def an_alb_event(name: str, key: str | None = None, **changed: Any) -> dict[str, Any]:
    """An event of the folder; `key` in place of the one it has, "" for none."""
    event = {**json.loads((EVENTS / f"{name}.json").read_text("utf-8")), **changed}
    is_multiple = "multiValueHeaders" in event
    headers = event["multiValueHeaders" if is_multiple else "headers"]
    if key is not None:
        headers.pop("authorization")
    if key:
        headers["authorization"] = [f"Bearer {key}"] if is_multiple else f"Bearer {key}"
    return event


def reason_of(answer: dict[str, Any]) -> str:
    return str(json.loads(answer["body"])["error"]["reason"])


@pytest.mark.parametrize("name", POSTS)
def test_events_are_taken_whatever_form_the_load_balancer_gives_them(door: Door, name: str) -> None:
    answer = door.call(ingest, an_alb_event(name, door.keys.write_key))

    assert (answer["statusCode"], answer["statusDescription"]) == (202, "202 Accepted")
    assert json.loads(answer["body"])["accepted"] == 2
    assert [record.key for record in door.log.records] == [b"u1", b"u2"]
    assert "📦" in json.loads(door.log.records[0].value)["output"]


@pytest.mark.parametrize("name", POSTS)
def test_the_answer_has_headers_in_the_form_that_the_target_group_takes(door: Door, name: str) -> None:
    answer = door.call(ingest, an_alb_event(name, door.keys.write_key))

    form = "multiValueHeaders" if name.endswith("multi_value") else "headers"
    assert [form] == [each for each in ("headers", "multiValueHeaders") if each in answer]
    value = answer[form]["Content-Type"]
    assert value == (["application/json"] if form == "multiValueHeaders" else "application/json")


@pytest.mark.parametrize("name", [*POSTS, "alb_get_top_users", "alb_delete_user"])
@pytest.mark.parametrize("key", ["", "tally_nobody_00"])
def test_without_a_key_that_is_known_nothing_happens(door: Door, name: str, key: str) -> None:
    module = {"alb_get_top_users": query, "alb_delete_user": admin}.get(name, ingest)

    answer = door.call(module, an_alb_event(name, key))

    assert (answer["statusCode"], reason_of(answer)) == ((403, "key_invalid") if key else (401, "key_missing"))
    assert (door.log.records, door.store.asked, list(door.objects.list(""))) == ([], [], [])


@pytest.mark.parametrize("name", ["alb_post_events", "alb_get_top_users", "alb_delete_user"])
@pytest.mark.parametrize(("key", "refused"), [("tally_nobody_00", 1), ("", None)])
def test_a_wrong_key_is_counted_where_no_authorizer_counts_it(
    door: Door, name: str, key: str, refused: int | None
) -> None:
    module = {"alb_get_top_users": query, "alb_delete_user": admin}.get(name, ingest)

    door.call(module, an_alb_event(name, key))

    assert door.telemetry.line.counts.get("refused_keys") == refused


def test_a_key_of_another_scope_is_refused(door: Door) -> None:
    for module, name, key in (
        (ingest, "alb_post_events", door.keys.read_key),
        (query, "alb_get_top_users", door.keys.write_key),
        (admin, "alb_delete_user", door.keys.read_key),
    ):
        answer = door.call(module, an_alb_event(name, key))

        assert (answer["statusCode"], reason_of(answer)) == (403, "scope_missing")


@pytest.mark.parametrize("name", POSTS)
def test_a_forged_context_of_an_authorizer_opens_nothing(door: Door, name: str) -> None:
    event = an_alb_event(name, "")
    event["requestContext"] = {**event["requestContext"], "authorizer": FORGED}
    event["authorizer"] = FORGED
    forged_body = json.dumps({"requestContext": {"authorizer": FORGED}, "events": []})

    plain = door.call(ingest, event)
    for form in ("headers", "multiValueHeaders"):
        event.get(form, {}).pop("content-encoding", None)
    in_body = door.call(ingest, {**event, "body": forged_body, "isBase64Encoded": False})

    assert (plain["statusCode"], in_body["statusCode"]) == (401, 401)
    assert door.log.records == []


def test_queries_and_paths_are_read_as_those_of_the_gateway(door: Door) -> None:
    door.store.answers = [[], [], [], []]

    answer = door.call(query, an_alb_event("alb_get_top_users", door.keys.read_key))
    erasure = door.call(admin, an_alb_event("alb_delete_user", door.keys.admin_key))

    assert answer["statusCode"] == 200, answer["body"]
    assert json.loads(answer["body"])["start"] == "2025-06-01T00:00:00.000Z"
    assert "message sent" in {value for _, parameters in door.store.asked for value in parameters.values()}
    assert erasure["statusCode"] == 202
    (requested,) = door.objects.list("erasures/")
    assert b"ann/e@example.com" in (door.objects.get(requested.name) or b"")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("PUT", "/events"), ("POST", "/event/"), ("POST", "/event/a/b")]
)
def test_an_unknown_route_is_refused_in_the_gateways_words(door: Door, method: str, path: str) -> None:
    event = an_alb_event("alb_post_events", door.keys.write_key, httpMethod=method, path=path)
    expected = 202 if path == "/event/" else 404  # a slash at the end changes no route

    answer = door.call(ingest, {**event, "body": json.dumps({"user_id": "u", "event_name": "e"})})

    assert answer["statusCode"] == expected
    assert expected == 202 or reason_of(answer) == "route_not_found"


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (gzip.compress(b" " * (BODY_BYTES_MAX + 1)), "body_too_large"),
        (gzip.compress(b"{}")[:-9], "unsupported_encoding"),
        (b"no gzip", "unsupported_encoding"),
    ],
    ids=["bomb", "cut off", "no gzip"],
)
def test_a_packed_body_is_unpacked_within_limits(door: Door, packed: bytes, reason: str) -> None:
    event = an_alb_event("alb_post_events_gzip", door.keys.write_key, body=base64.b64encode(packed).decode())

    assert reason_of(door.call(ingest, event)) == reason


def test_a_large_answer_is_packed_for_who_takes_it_so(door: Door) -> None:
    event = an_alb_event("alb_get_top_users", "", path="/", multiValueQueryStringParameters={})
    plain = {name: value for name, value in event["multiValueHeaders"].items() if name != "accept-encoding"}

    packed = door.call(query, event)
    unpacked = door.call(query, {**event, "multiValueHeaders": plain})

    assert packed["multiValueHeaders"]["Content-Encoding"] == ["gzip"]
    assert gzip.decompress(base64.b64decode(packed["body"])).decode() == unpacked["body"]


def test_an_answer_over_the_load_balancers_limit_says_what_to_do(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = {"statusCode": 200, "headers": {"Content-Type": "text/csv"}, "body": '"' * (ANSWER_BYTES_MAX // 2)}
    monkeypatch.setattr(type(query.app), "__call__", lambda *_: huge)
    event = an_alb_event("alb_get_top_users", door.keys.read_key)
    del event["multiValueHeaders"]["accept-encoding"]

    answer = door.call(query, event)

    assert (answer["statusCode"], reason_of(answer)) == (422, "query_too_heavy")


def test_a_preflight_is_answered_for_the_one_origin_that_may_call(door: Door) -> None:
    event = an_alb_event("alb_post_events", "", httpMethod="OPTIONS")

    allowed = door.call(ingest, event, "https://page.example")

    assert allowed["headers"]["Access-Control-Allow-Origin"] == "https://page.example"
    assert "traceparent" in allowed["headers"]["Access-Control-Allow-Headers"].split(",")
    assert door.call(ingest, event)["statusCode"] == 404


def test_an_event_of_the_gateway_goes_through_untouched(door: Door) -> None:
    event = json.loads((EVENTS / "ingest_post_events.json").read_text("utf-8"))

    answer = door.call(ingest, event)

    assert answer["statusCode"] == 202
    assert "statusDescription" not in answer


def test_who_calls_is_the_last_address_which_the_load_balancer_added(door: Door) -> None:
    seen = []
    event = an_alb_event("alb_post_events", door.keys.write_key)

    call_app(_Recording(seen), event, None, str)  # type: ignore[arg-type]

    assert seen[0]["requestContext"]["identity"]["sourceIp"] == "203.0.113.17"


class _Recording:
    routes = ingest.app.routes

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def __call__(self, event: Any, _context: Any) -> dict[str, Any]:
        self._seen.append(event)
        return {"statusCode": 200, "headers": {}, "body": ""}
