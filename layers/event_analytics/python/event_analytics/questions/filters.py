"""Filters of a question -> conditions on rows.

A property is compared by what it is: a text by its characters, a number by its value, true and false by their names. A
property that is null counts as absent, whether it was sent so or a merge patch took it away (docs/decisions/0008).
Objects and lists exist; they equal nothing.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from event_analytics.errors import Reason, Refused
from event_analytics.questions.parameters import NAME_SHOWN, PROPERTY_PREFIX
from event_analytics.questions.query import Conditions

PATH_NAMES_MAX: Final = 8  # levels of a path; properties have up to 20
COMPARISONS_MAX: Final = 16  # each parses the properties of every row of the window
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ORDER_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_OPERATORS: Final = ("eq", "ne", *_ORDER_SIGNS, "exists")
_NUMBER_TYPES: Final = "('Int64', 'UInt64', 'Double')"
_FIELDS: Final = ("event_name", "user_id")
OF_CONVERSATION: Final = "conversation_id = {conversation_id:String}"  # of the sorting key


class Comparison(NamedTuple):
    """One comparison of the property at a path; `operator` is one of eq, ne, gt, gte, lt, lte, exists."""

    path: tuple[str, ...]
    operator: str
    value: str


def read_filters(
    values: Mapping[str, Any], query: Mapping[str, str], repeated: Mapping[str, Sequence[str]]
) -> Conditions:
    """The conditions of all filters in a request, from `read_values` and the comparisons beside them.

    Raises:
        Refused: parameter_invalid.
    """
    conditions = Conditions()
    for name in _FIELDS:
        if name in values:
            conditions = conditions.and_(f"{name} = {{{name}:String}}", **{name: values[name]})
    if "conversation_id" in values:
        conditions = conditions.and_key(OF_CONVERSATION, conversation_id=values["conversation_id"])
    if "has_error" in values:
        conditions = conditions.and_("error != ''" if values["has_error"] else "error = ''")
    comparisons = list(_read_comparisons(query, repeated))
    if len(comparisons) > COMPARISONS_MAX:
        raise Refused(Reason.PARAMETER_INVALID, f"at most {COMPARISONS_MAX} comparisons are taken", PROPERTY_PREFIX)
    for place, comparison in enumerate(comparisons):
        sql, parameters = compile_comparison(comparison, f"property_{place}")
        conditions = conditions.and_(sql, **parameters)
    return conditions


def _read_comparisons(query: Mapping[str, str], repeated: Mapping[str, Sequence[str]]) -> Iterator[Comparison]:
    for name in sorted(query):
        if name.startswith(PROPERTY_PREFIX):
            path = _read_path(name)
            for text in repeated.get(name, (query[name],)):
                yield _read_comparison(path, text, name[:NAME_SHOWN])


def _read_path(name: str) -> tuple[str, ...]:
    path = tuple(name.removeprefix(PROPERTY_PREFIX).split("."))
    if not all(path) or len(path) > PATH_NAMES_MAX:
        message = f"a path is 1 to {PATH_NAMES_MAX} names with dots between them"
        raise Refused(Reason.PARAMETER_INVALID, message, name[:NAME_SHOWN])
    return path


def _read_comparison(path: tuple[str, ...], text: str, name: str) -> Comparison:
    operator, colon, value = text.partition(":")
    if not colon or operator not in _OPERATORS:
        operator, value = "eq", text
    if operator in _ORDER_SIGNS and _number_in(value) is None:
        raise Refused(Reason.PARAMETER_INVALID, f"{operator}: takes a number", name)
    if operator == "exists" and value not in ("true", "false"):
        raise Refused(Reason.PARAMETER_INVALID, "exists: takes true or false", name)
    return Comparison(path, operator, value)


def compile_comparison(comparison: Comparison, prefix: str) -> tuple[str, dict[str, Any]]:
    """A condition and its parameters, whose names begin with `prefix`: path and value are both bound."""
    parameters: dict[str, Any] = {f"{prefix}_{level}": name for level, name in enumerate(comparison.path)}
    place = ", ".join(["properties", *(f"{{{name}:String}}" for name in parameters)])
    if comparison.operator == "exists":
        return f"JSONType({place}) {'!=' if comparison.value == 'true' else '='} 'Null'", parameters
    if comparison.operator in _ORDER_SIGNS:
        sign, name = _ORDER_SIGNS[comparison.operator], f"{prefix}_number"
        sql = f"(JSONType({place}) IN {_NUMBER_TYPES} AND JSONExtractFloat({place}) {sign} {{{name}:Float64}})"
        return sql, {**parameters, name: _number_in(comparison.value)}
    is_equal, values = _compile_equal(place, comparison.value, prefix)
    return (f"({is_equal})" if comparison.operator == "eq" else f"NOT ({is_equal})"), {**parameters, **values}


def _compile_equal(place: str, text: str, prefix: str) -> tuple[str, dict[str, Any]]:
    """One case per type that a property may have. Integers compare as text: as floats, large neighbours are equal."""
    value, integer, number = (f"{prefix}_{part}" for part in ("value", "integer", "number"))
    cases = [
        f"JSONType({place}) = 'String' AND JSONExtractString({place}) = {{{value}:String}}",
        f"JSONType({place}) = 'Bool' AND JSONExtractRaw({place}) = {{{value}:String}}",
    ]
    parameters: dict[str, Any] = {value: text}
    if (integer_text := _integer_in(text)) is not None:
        cases.append(f"JSONType({place}) IN ('Int64', 'UInt64') AND JSONExtractRaw({place}) = {{{integer}:String}}")
        parameters[integer] = integer_text
    if (float_value := _number_in(text)) is not None:
        cases.append(f"JSONType({place}) = 'Double' AND JSONExtractFloat({place}) = {{{number}:Float64}}")
        parameters[number] = float_value
    return " OR ".join(cases), parameters


def _number_in(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _integer_in(text: str) -> str | None:
    """The integer that a number stands for, as JSON writes it; None where it is none."""
    number = _number_in(text)
    if number is None or not number.is_integer():
        return None
    return str(int(text)) if text.removeprefix("-").isdigit() else str(int(number))
