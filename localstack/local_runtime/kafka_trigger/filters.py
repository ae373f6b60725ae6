"""Filter criteria: which records Lambda wants at all, by their value.

For Kafka AWS filters on `value` only: a JSON pattern for messages that are JSON objects or lists, a list of conditions
for plain strings. A message of the other kind, or one that is no UTF-8, has nothing to be compared and passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

FILTERS_MAX = 10  # per mapping; AWS raises it to this on request, the default is 5
PATTERN_LENGTH_MAX = 4096
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}
Values = Sequence[Any]
ABSENT: Values = ()


class FilterRefused(ValueError):  # noqa: N818 - a name, not a grade
    """The pattern is none that Lambda takes for Kafka; the message says what about it."""


def compile_filters(patterns: Sequence[str]) -> Callable[[bytes | None], bool] | None:
    """Return what tells whether a record's value passes at least one pattern; None when everything passes.

    Raises:
        FilterRefused: with the first thing that AWS would refuse.
    """
    if len(patterns) > FILTERS_MAX:
        raise FilterRefused(f"{len(patterns)} filters: at most {FILTERS_MAX}")
    read = [_read_pattern(pattern) for pattern in patterns]
    conditions = [condition for condition in read if condition is not None]
    if not conditions or len(conditions) < len(read):
        return None

    def passes(value: bytes | None) -> bool:
        try:
            message = _read_message(value)
            return message is None or any(_passes(condition, message) for condition in conditions)
        except RecursionError:  # nested so deeply that nobody can compare it
            return True

    return passes


def _read_pattern(pattern: str) -> dict[str, Any] | list[Any] | None:
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise FilterRefused(f"a pattern of {len(pattern)} characters: at most {PATTERN_LENGTH_MAX}")
    try:
        document = json.loads(pattern)
    except ValueError as error:
        raise FilterRefused(f"not JSON: {pattern}") from error
    if not isinstance(document, dict):
        raise FilterRefused(f"a JSON object is needed: {pattern}")
    if unknown := document.keys() - {"value"}:
        raise FilterRefused(f"only `value` can be filtered for Kafka, not {', '.join(sorted(unknown))}")
    condition = document.get("value")
    if condition is None:
        return None
    _check(condition)
    return condition  # type: ignore[no-any-return]  # _check has told


def _check(condition: Any) -> None:
    if isinstance(condition, dict):
        for name, part in condition.items():
            is_either = name == "$or" and isinstance(part, list)
            for branch in part if is_either else [part]:
                if is_either and not isinstance(branch, dict):
                    raise FilterRefused(f"$or takes objects: {json.dumps(part)}")
                _check(branch)
    elif isinstance(condition, list) and condition:
        for leaf in condition:
            _check_leaf(leaf)
    else:
        raise FilterRefused(f"an object or a list that is not empty is needed, not {json.dumps(condition)}")


def _check_leaf(leaf: Any) -> None:
    if not isinstance(leaf, dict):
        if isinstance(leaf, list):
            raise FilterRefused(f"a list within a list: {json.dumps(leaf)}")
        return
    if len(leaf) != 1 or not leaf.keys() <= OPERATORS.keys():
        raise FilterRefused(f"not an operator that Lambda has: {json.dumps(leaf)}")
    ((name, argument),) = leaf.items()
    if not _TAKES[name](argument):
        raise FilterRefused(f"{name} does not take this: {json.dumps(leaf)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_in_any_case(value: Any) -> bool:
    return _is_text(value) or (
        isinstance(value, dict) and value.keys() == {"equals-ignore-case"} and _is_text(value["equals-ignore-case"])
    )


def _is_comparison(terms: Any) -> bool:
    """Comparisons and numbers by turns."""
    return (
        isinstance(terms, list)
        and bool(terms)
        and len(terms) % 2 == 0
        and all(_is_text(sign) and sign in COMPARISONS for sign in terms[::2])
        and all(map(_is_number, terms[1::2]))
    )


def _is_exclusion(argument: Any) -> bool:
    if isinstance(argument, dict):
        _check_leaf(argument)
        return True
    scalars = argument if isinstance(argument, list) else [argument]
    return not any(isinstance(each, dict | list) for each in scalars)


_TAKES: dict[str, Callable[[Any], bool]] = {
    "exists": lambda argument: isinstance(argument, bool),
    "prefix": _is_text_in_any_case,
    "suffix": _is_text_in_any_case,
    "equals-ignore-case": _is_text,
    "anything-but": _is_exclusion,
    "numeric": _is_comparison,
}


def _read_message(value: bytes | None) -> Any:
    """Return a JSON object or list, or a plain string; None for what cannot be compared."""
    if value is None:
        return None
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return text
    return document if isinstance(document, dict | list) else text


def _passes(condition: dict[str, Any] | list[Any], message: Any) -> bool:
    is_plain = isinstance(message, str)
    if isinstance(condition, list):
        return not is_plain or _any_leaf(condition, (message,))
    return is_plain or _matches(condition, message)


def _matches(pattern: dict[str, Any], document: Any) -> bool:
    if isinstance(document, list):
        return any(_matches(pattern, element) for element in document)
    members = document if isinstance(document, dict) else {}
    return all(_matches_member(name, part, members) for name, part in pattern.items())


def _matches_member(name: str, part: Any, members: dict[str, Any]) -> bool:
    if name == "$or" and isinstance(part, list):
        return any(_matches(branch, members) for branch in part)
    if isinstance(part, dict):
        return _matches(part, members.get(name, {}))
    if name not in members:
        return _any_leaf(part, ABSENT)
    found = members[name]
    return _any_leaf(part, found if isinstance(found, list) else (found,))


def _any_leaf(leaves: list[Any], values: Values) -> bool:
    return any(_leaf_holds(leaf, values) for leaf in leaves)


def _leaf_holds(leaf: Any, values: Values) -> bool:
    if not isinstance(leaf, dict):
        return any(_equals(value, leaf) for value in values)
    ((name, argument),) = leaf.items()
    if name == "exists":
        return (values is not ABSENT) is bool(argument)
    return any(OPERATORS[name](value, argument) for value in values)


def _equals(value: Any, wanted: Any) -> bool:
    # In JSON true is no number; in Python it is.
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def _starts(value: Any, argument: Any) -> bool:
    if isinstance(argument, dict):
        return isinstance(value, str) and value.lower().startswith(str(argument.get("equals-ignore-case")).lower())
    return isinstance(value, str) and value.startswith(argument)


def _ends(value: Any, argument: Any) -> bool:
    if isinstance(argument, dict):
        return isinstance(value, str) and value.lower().endswith(str(argument.get("equals-ignore-case")).lower())
    return isinstance(value, str) and value.endswith(argument)


def _is_other(value: Any, argument: Any) -> bool:
    if isinstance(argument, dict):
        return not _leaf_holds(argument, (value,))
    return not any(_equals(value, one) for one in (argument if isinstance(argument, list) else [argument]))


def _is_within(value: Any, terms: list[Any]) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(COMPARISONS[sign](value, bound) for sign, bound in zip(terms[::2], terms[1::2], strict=True))


def _equals_ignoring_case(value: Any, argument: Any) -> bool:
    return isinstance(value, str) and value.lower() == str(argument).lower()


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "exists": lambda _value, argument: bool(argument),
    "prefix": _starts,
    "suffix": _ends,
    "equals-ignore-case": _equals_ignoring_case,
    "anything-but": _is_other,
    "numeric": _is_within,
}
