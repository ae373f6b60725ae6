"""A proxy event -> a request; refusals -> answers."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import answer_refused, read_request

EVENT = json.loads((Path(__file__).parents[2] / "events" / "query_top_users.json").read_text("utf-8"))


def test_a_parameter_that_is_given_once_is_not_repeated() -> None:
    request = read_request(EVENT)

    assert request.query["limit"] == "10"
    assert request.repeated == {}


def test_all_values_of_a_repeated_parameter_are_kept() -> None:
    event = {
        **EVENT,
        "queryStringParameters": {"properties.n": "lt:5", "limit": "1"},
        "multiValueQueryStringParameters": {"properties.n": ["gt:1", "lt:5"], "limit": ["1"]},
    }

    assert read_request(event).repeated == {"properties.n": ["gt:1", "lt:5"]}


@pytest.mark.parametrize("text", ["plain", "a@b.c", "50%25", "%40", 'ü / "?', "a+b"])
def test_names_in_a_path_come_as_they_were_sent(text: str) -> None:
    event = {**EVENT, "pathParameters": {"id": quote(text, safe="")}}

    assert read_request(event).path_parameters == {"id": text}


def test_a_refusal_that_may_pass_says_when_to_ask_again() -> None:
    passing, lasting = (
        answer_refused(Refused(reason, "no")) for reason in (Reason.EVENT_NOT_FOUND, Reason.EVENT_DELETED)
    )

    assert passing.headers["Retry-After"] == "1"
    assert "Retry-After" not in lasting.headers
