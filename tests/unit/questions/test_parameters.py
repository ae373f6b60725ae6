"""What a question may be told, and how it refuses the rest."""

from itertools import combinations

import pytest

from event_analytics.errors import Refused
from event_analytics.questions.catalog import BY_NAME, QUESTIONS
from event_analytics.questions.parameters import Kind, Parameter
from tests.builders import UUID7
from tests.unit.questions.asked import asked

SQL = "x'; DROP TABLE events; --"
GOOD = {
    Kind.TEXT: ["a", SQL, "ü\n\t\\'"],
    Kind.NUMBER: ["1"],
    Kind.FLAG: ["true", "false"],
    Kind.WINDOW: ["7d"],
    Kind.INSTANT: ["2026-09-20T00:00:00Z"],
    Kind.COMPARISON: [SQL, "gte:3", "exists:true", "ne:"],
    Kind.ID: [UUID7],
    Kind.VECTOR: ["AACAPw=="],
}
BAD = {
    Kind.TEXT: ["", "x" * 129, "\ud800", "\0"],
    Kind.NUMBER: ["", "-1", "1000000000", "1.5", "ten", "٣", SQL],
    Kind.FLAG: ["", "1", "True", SQL],
    Kind.CHOICE: ["", "everything", SQL],
    Kind.CHOICES: ["", "input,,output", "everything", SQL],
    Kind.WINDOW: ["", "0h", "3660d", "10y", SQL],
    Kind.INSTANT: ["", "2026-09-20", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", SQL],
    Kind.CURSOR: ["", "x", "AAAA", "ü", SQL],
    Kind.COMPARISON: ["gt:", "gt:ten", "lte:NaN", "gte:1e999", "exists:yes", "\0", "x" * 2_001],
    Kind.ID: ["", "12", SQL],
    Kind.VECTOR: ["", "!", "AAA=", SQL],
}
PARAMETERS = [(question.name, parameter) for question in QUESTIONS for parameter in question.parameters]


def name_of(parameter: Parameter) -> str:
    return "properties.plan.name" if parameter.kind is Kind.COMPARISON else parameter.name


def good_values(parameter: Parameter) -> list[str]:
    if parameter.kind is Kind.CHOICES:
        return [",".join(parameter.choices), parameter.choices[0]]
    if parameter.name == "end":
        return ["2026-09-21T02:00:00+02:00"]
    return [] if parameter.kind is Kind.CURSOR else list(parameter.choices or GOOD[parameter.kind])


def with_start(query: dict[str, str]) -> dict[str, str]:
    """`end` needs `start`."""
    return {"start": "2026-09-01T00:00:00Z", **query} if "end" in query else query


def contradict(one: str, other: str) -> bool:
    return "window" in (one, other) and bool({one, other} & {"start", "end"})


def refusal_of(question: str, query: dict[str, object]) -> str | None:
    try:
        asked(question, **query)
    except Refused as refused:
        assert refused.status == 400
        return str(refused.reason)
    return None


@pytest.mark.parametrize(("question", "parameter"), PARAMETERS, ids=[f"{q}-{p.name}" for q, p in PARAMETERS])
def test_takes_every_parameter_alone_and_never_as_sql(question: str, parameter: Parameter) -> None:
    for value in good_values(parameter):
        request = asked(question, **with_start({name_of(parameter): value}))
        query = BY_NAME[question].compile(request)

        assert SQL not in query.sql
        assert all(f"{{{name}:" in query.sql for name in request.filters.parameters)


@pytest.mark.parametrize(("question", "parameter"), PARAMETERS, ids=[f"{q}-{p.name}" for q, p in PARAMETERS])
def test_refuses_what_it_cannot_read_by_the_name_of_the_parameter(question: str, parameter: Parameter) -> None:
    for value in BAD[parameter.kind]:
        with pytest.raises(Refused) as refused:
            asked(question, **with_start({name_of(parameter): value}))

        assert refused.value.status == 400
        assert refused.value.field is not None


@pytest.mark.parametrize("question", [question.name for question in QUESTIONS])
def test_takes_every_pair_of_parameters_that_does_not_contradict(question: str) -> None:
    for one, other in combinations(BY_NAME[question].parameters, 2):
        for first in good_values(one):
            for second in good_values(other):
                reason = refusal_of(question, with_start({name_of(one): first, name_of(other): second}))

                expected = "window_invalid" if contradict(one.name, other.name) else None
                assert reason == expected, (one.name, first, other.name, second)


@pytest.mark.parametrize("question", [question.name for question in QUESTIONS])
def test_refuses_a_parameter_that_it_does_not_know(question: str) -> None:
    for name in ("windov", "LIMIT", SQL, "properties", ""):
        assert refusal_of(question, {name: "1"}) == "parameter_unknown"


def test_refuses_a_parameter_that_is_given_twice() -> None:
    with pytest.raises(Refused) as refused:
        asked("events", limit=["1", "2"])

    assert (str(refused.value.reason), refused.value.field) == ("parameter_repeated", "limit")


def test_a_limit_out_of_range_has_a_reason_of_its_own() -> None:
    assert refusal_of("events", {"limit": "1000000000"}) == "limit_invalid"


def test_an_unknown_name_is_repeated_shortly() -> None:
    with pytest.raises(Refused) as refused:
        asked("events", **{"x" * 1_000: "1"})

    assert len(refused.value.field or "") == 80


@pytest.mark.parametrize(
    ("path", "reason"), [("c" * 129, "text_too_long"), ("a\0b", "text_invalid"), ("\ud800", "text_invalid")]
)
def test_refuses_a_conversation_that_cannot_be(path: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        asked("conversation-events", {"id": path})

    assert str(refused.value.reason) == reason


def test_refuses_an_id_that_is_no_uuid() -> None:
    with pytest.raises(Refused) as refused:
        asked("event", {"id": "12"})

    assert str(refused.value.reason) == "id_invalid"
