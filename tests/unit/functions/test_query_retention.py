"""What a read answers of events that are not kept any more."""

import json
from datetime import UTC, datetime

import pytest

from event_analytics.errors import Refused
from event_analytics.observability import InvocationLine
from event_analytics.questions.catalog import BY_NAME
from functions.query.app import Deps, handle_question
from tests.builders import a_request
from tests.fakes import FakeEventStore, FakeKeySource, FakeObjectStore

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)  # ten days before, the week began on Monday the 9th


@pytest.fixture
def deps() -> Deps:
    return Deps(
        store=FakeEventStore(),
        objects=FakeObjectStore(),
        keys=FakeKeySource(),
        now=lambda: NOW,
        event_retention_days=10,
    )


def test_a_report_begins_with_the_first_week_that_is_kept_and_says_so(deps: Deps) -> None:
    request = a_request(key=deps.keys.read_key, query={"window": "60d"})  # type: ignore[attr-defined]

    answer = handle_question(BY_NAME["errors"], request, deps, InvocationLine())

    assert json.loads(answer.body)["start"] == "2026-11-09T00:00:00.000Z"


def test_a_report_of_a_time_that_is_not_kept_is_refused(deps: Deps) -> None:
    window = {"start": "2026-10-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}

    with pytest.raises(Refused) as refused:
        handle_question(BY_NAME["errors"], a_request(key=deps.keys.read_key, query=window), deps, InvocationLine())  # type: ignore[attr-defined]

    assert str(refused.value.reason) == "window_invalid"
