"""The catalogue as a whole, and rows -> answers of each report."""

import msgspec
import pytest

from event_analytics.errors import Refused
from event_analytics.questions.catalog import BY_NAME, QUESTIONS
from event_analytics.questions.parameters import Kind
from tests.unit.questions.asked import PreparedSelect, asked


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_says_what_it_is(question) -> None:
    fields = msgspec.json.schema(question.row)["$defs"][question.row.__name__]["properties"]

    assert question.summary.endswith(".")
    assert all(parameter.description.endswith(".") for parameter in question.parameters)
    assert all("description" in str(field) for field in fields.values())
    assert (question.name, question.route) in {(name, each.route) for name, each in BY_NAME.items()}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_columns_of_an_answer_are_fields_of_its_rows(question) -> None:
    choices = next((each for each in question.parameters if each.kind in (Kind.CHOICE, Kind.CHOICES)), None)
    for choice in choices.choices if choices else ("",):
        columns = question.columns_of(asked(question.name, **({choices.name: choice} if choices else {})))

        assert set(columns) <= set(question.row.__struct_fields__)
        assert columns


def answer(question: str, *rows: dict[str, object], **query: object) -> dict[str, object]:
    found = BY_NAME[question].answer(asked(question, **query), PreparedSelect(rows))
    return {"rows": msgspec.to_builtins(found.rows), **found.totals}


def test_top_users_come_with_totals() -> None:
    row = {"user_id": "u1", "events": 3, "events_total": 4, "keys_total": 2}

    assert answer("top-users", row, window="1h") == {
        "rows": [{"user_id": "u1", "events": 3}],
        "events_total": 4,
        "users_total": 2,
    }
    assert answer("top-users", window="1h") == {"rows": [], "events_total": 0, "users_total": 0}


@pytest.mark.parametrize("by", ["event_name", "conversation_id", "event_name,conversation_id"])
def test_latency_has_what_it_is_asked_by(by: str) -> None:
    keys = dict.fromkeys(by.split(","), "x")

    found = answer("latency", {**keys, "events": 9, "quantiles": [1.0, 2.0, 3.0]}, by=by)

    assert found["rows"] == [{**keys, "events": 9, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}]


def test_errors_by_event_name_have_a_rate() -> None:
    row = {"event_name": "e", "events": 4, "errors": 1, "error_rate": 0.25}

    assert answer("errors", {**row, "events_total": 9, "errors_total": 2}, window="1h") == {
        "rows": [row],
        "events_total": 9,
        "errors_total": 2,
    }


def test_errors_by_error_leave_out_the_events_without_one_and_count_them() -> None:
    totals = {"events_total": 9, "errors_total": 2}
    rows = [{"error": error, "events": n, "errors": n, **totals} for error, n in (("", 7), ("bad", 1), ("worse", 1))]

    assert answer("errors", *rows, by="error", limit=2)["rows"] == [
        {"error": "bad", "errors": 1},
        {"error": "worse", "errors": 1},
    ]
    assert answer("errors", *rows, by="error", limit=2) | totals == answer("errors", *rows, by="error", limit=2)
    assert answer("errors", *rows[1:], by="error", limit=1)["rows"] == [{"error": "bad", "errors": 1}]


def test_conversations_say_when_they_began_and_ended() -> None:
    row = {"conversation_id": "c", "events": 2, "errors": 1, "error_rate": 0.5, "p95_ms": None}

    assert answer("top-conversations", {**row, "started_ms": 0, "ended_ms": 1}, window="1h")["rows"] == [
        {**row, "started_at": "1970-01-01T00:00:00.000Z", "ended_at": "1970-01-01T00:00:00.001Z"}
    ]


def test_a_series_has_no_gaps() -> None:
    row = {"start_s": 1_789_988_400, "events": 2, "users": 1, "errors": 1, "error_rate": 0.5, "timed": 0}
    query = {"start": "2026-09-21T09:30:00Z", "end": "2026-09-21T12:00:00.001Z", "interval": "hour"}

    shared = {"quantiles": [0.0, 0.0], "is_total": 0}
    found = answer("volume", {**row, **shared}, {**row, **shared, "start_s": 0, "is_total": 1}, **query)

    assert [each["start"][11:16] for each in found["rows"]] == ["09:00", "10:00", "11:00", "12:00"]
    assert [each["events"] for each in found["rows"]] == [0, 0, 2, 0]
    assert found["rows"][2]["p95_ms"] is None
    assert found["totals"].events == 2
    assert found["rows"][0] == {
        "start": "2026-09-21T09:00:00.000Z",
        "events": 0,
        "users": 0,
        "errors": 0,
        "error_rate": 0.0,
        "p50_ms": None,
        "p95_ms": None,
    }


@pytest.mark.parametrize(
    ("window", "interval"), [("30m", "minute"), ("3h", "minute"), ("24h", "hour"), ("7d", "hour"), ("30d", "day")]
)
def test_auto_is_the_finest_interval_that_a_screen_shows(window: str, interval: str) -> None:
    assert answer("volume", window=window)["interval"] == interval


def test_refuses_a_series_that_is_too_long() -> None:
    with pytest.raises(Refused) as refused:
        answer("volume", window="7d", interval="minute")

    assert (str(refused.value.reason), refused.value.field) == ("parameter_invalid", "interval")


def test_the_longest_window_has_a_series_of_days() -> None:
    found = answer("volume", window="1830d")

    assert found["interval"] == "day"
    assert len(found["rows"]) == 1_831
