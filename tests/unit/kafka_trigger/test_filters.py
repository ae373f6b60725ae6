from __future__ import annotations

import json
from typing import Any

import pytest

from local_runtime.kafka_trigger.filters import FilterRefused, compile_filters


def passes(pattern: Any, message: Any) -> bool:
    keeps = compile_filters([json.dumps({"value": pattern})])
    assert keeps is not None
    return keeps(message if isinstance(message, bytes) or message is None else json.dumps(message).encode())


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ({"a": ["x"]}, {"a": "x"}, True),
        ({"a": ["x"]}, {"a": "y"}, False),
        ({"a": ["x"]}, {}, False),
        ({"a": ["x", "y"]}, {"a": "y"}, True),
        ({"a": ["x"], "b": [1]}, {"a": "x", "b": 1}, True),
        ({"a": ["x"], "b": [1]}, {"a": "x", "b": 2}, False),
        ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
        ({"a": ["x"]}, {"a": ["w", "x"]}, True),
        ({"a": [True]}, {"a": 1}, False),
        ({"a": [1]}, {"a": True}, False),
        ({"a": [1]}, {"a": 1.0}, True),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [""]}, {"a": ""}, True),
        ({"a": [{"prefix": "AB"}]}, {"a": "AB1"}, True),
        ({"a": [{"prefix": "AB"}]}, {"a": "ab1"}, False),
        ({"a": [{"prefix": {"equals-ignore-case": "AB"}}]}, {"a": "ab1"}, True),
        ({"a": [{"suffix": ".png"}]}, {"a": "x.png"}, True),
        ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "x.png"}, True),
        ({"a": [{"equals-ignore-case": "AB"}]}, {"a": "ab"}, True),
        ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
        ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "xy"}, False),
        ({"a": [{"anything-but": "x"}]}, {}, False),
        ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, True),
        ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5.1}, False),
        ({"a": [{"numeric": ["=", 3]}]}, {"a": "3"}, False),
        ({"a": [{"numeric": ["=", 1]}]}, {"a": True}, False),
        ({"a": [{"exists": True}]}, {"a": None}, True),
        ({"a": [{"exists": True}]}, {}, False),
        ({"a": [{"exists": False}]}, {}, True),
        ({"a": [{"exists": False}]}, {"a": 1}, False),
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 0, "b": 2}, True),
        ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 0, "b": 0}, False),
        ({"a": {"b": [1]}}, {"a": [{"b": 0}, {"b": 1}]}, True),
        # plain strings
        (["hello"], b"hello", True),
        (["hello"], b"world", False),
        ([{"prefix": "he"}], b"hello", True),
        (["7"], b"7", True),
        # nothing of the pattern's kind to compare: the record passes
        ({"a": ["x"]}, b"plain", True),
        (["plain"], {"a": "x"}, True),
        ({"a": ["x"]}, b"\xff\xfe", True),
        ({"a": ["x"]}, None, True),
    ],
)
def test_pattern(pattern: Any, message: Any, expected: bool) -> None:
    assert passes(pattern, message) is expected


def test_one_of_several_patterns_is_enough() -> None:
    keeps = compile_filters(['{"value":{"a":[1]}}', '{"value":{"b":[2]}}'])
    assert keeps is not None

    assert [keeps(value) for value in (b'{"a":1}', b'{"b":2}', b'{"a":2}')] == [True, True, False]


@pytest.mark.parametrize("patterns", [[], ["{}"], ['{"value":{"a":[1]}}', "{}"]])
def test_nothing_to_compare_means_no_filter(patterns: list[str]) -> None:
    assert compile_filters(patterns) is None


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('{"key":["k"]}', "only `value`"),
        ('{"value":{"a":"x"}}', "list"),
        ('{"value":{"a":[]}}', "not empty"),
        ('{"value":{"a":[["x"]]}}', "list within"),
        ('{"value":{"a":[{"wildcard":"x*"}]}}', "operator"),
        *(
            (f'{{"value":{{"a":[{leaf}]}}}}', "does not take")
            for leaf in (
                '{"numeric":[">"]}', '{"numeric":[">","5"]}', '{"numeric":[{},5]}', '{"numeric":[">",true]}',
                '{"prefix":5}', '{"prefix":["x"]}', '{"suffix":{"equals":"x"}}', '{"exists":1}',
                '{"equals-ignore-case":1}', '{"anything-but":[["x"]]}', '{"anything-but":{"prefix":5}}',
            )
        ),
        ('{"value":{"$or":[["x"]]}}', "takes objects"),
        ('{"value":{"a":["%s"]}}' % ("x" * 5000), "4096"),
    ],
)  # fmt: skip
def test_pattern_that_lambda_does_not_take_is_refused(pattern: str, word: str) -> None:
    with pytest.raises(FilterRefused, match=word):
        compile_filters([pattern])


@pytest.mark.parametrize("depth", [900, 100_000])
def test_what_is_nested_beyond_comparing_passes(depth: int) -> None:
    assert passes({"a": [1]}, b"[" * depth + b"]" * depth)


def test_a_pattern_of_the_greatest_depth_compares_nothing() -> None:
    pattern: Any = [1]
    for _ in range(580):
        pattern = {"a": pattern}

    assert passes(pattern, pattern)


def test_more_filters_than_a_mapping_may_have_are_refused() -> None:
    with pytest.raises(FilterRefused, match="at most"):
        compile_filters(["{}"] * 11)
