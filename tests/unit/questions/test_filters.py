"""Comparisons of properties -> conditions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.errors import Refused
from event_analytics.questions.filters import COMPARISONS_MAX, Comparison, compile_comparison
from tests.unit.questions.asked import asked


def test_filters_of_fields_are_bound_by_name() -> None:
    filters = asked("events", event_name="e", user_id="u", conversation_id="c", has_error="true").filters

    assert filters.sql == ("event_name = {event_name:String}", "user_id = {user_id:String}", "error != ''")
    assert filters.of_key == ("conversation_id = {conversation_id:String}",)
    assert filters.parameters == {"event_name": "e", "user_id": "u", "conversation_id": "c"}


def test_only_conditions_on_the_sorting_key_run_before_final() -> None:
    clauses = asked("events", conversation_id="c", user_id="u").conditions().where()

    before, after = clauses.split("\nWHERE ")
    assert before == "PREWHERE conversation_id = {conversation_id:String}"
    assert "conversation_id" not in after
    assert "user_id = " in after
    assert asked("events").filters.where() == ""


def test_several_comparisons_of_one_property_must_all_hold() -> None:
    filters = asked("events", properties__stars=["gte:2", "lt:5"], properties__plan__name="pro").filters

    assert len(filters.sql) == 3
    assert [value for name, value in filters.parameters.items() if name.endswith("number")] == [2.0, 5.0]


@pytest.mark.parametrize(
    ("text", "operator", "value"),
    [
        ("pro", "eq", "pro"),
        ("eq:gt:5", "eq", "gt:5"),
        ("https://tallystream.example", "eq", "https://tallystream.example"),
        ("ne:", "ne", ""),
        ("exists:false", "exists", "false"),
    ],
)
def test_an_operator_stands_before_the_first_colon_and_else_it_is_equality(
    text: str, operator: str, value: str
) -> None:
    expected = compile_comparison(Comparison(("plan",), operator, value), "property_0")

    filters = asked("events", properties__plan=text).filters

    assert (filters.sql[0], dict(filters.parameters)) == expected


@pytest.mark.parametrize(
    "name", ["properties.", "properties..a", "properties.a.", "properties." + ".".join("abcdefghi")]
)
def test_refuses_a_path_that_is_none(name: str) -> None:
    with pytest.raises(Refused) as refused:
        asked("events", **{name: "1"})

    assert (str(refused.value.reason), refused.value.field) == ("parameter_invalid", name)


def test_refuses_too_many_comparisons() -> None:
    with pytest.raises(Refused) as refused:
        asked("events", properties__a=["ne:1"] * (COMPARISONS_MAX + 1))

    assert str(refused.value.reason) == "parameter_invalid"


@given(
    st.lists(st.text(min_size=3), min_size=1, max_size=8),
    st.sampled_from(["eq", "ne", "exists"]),
    st.text(min_size=8),
)
def test_sql_of_a_comparison_depends_on_its_shape_alone(path: list[str], operator: str, text: str) -> None:
    sql, parameters = compile_comparison(Comparison(tuple(path), operator, f"x{text}"), "p")
    same, _ = compile_comparison(Comparison(tuple("a" * len(path)), operator, "other"), "p")

    assert sql == same
    assert [parameters[f"p_{level}"] for level in range(len(path))] == path
