"""Which answers are kept, under which key, and who makes them."""

from collections.abc import Callable
from typing import Any

import pytest

from event_analytics.answer_caching import KEPT_BYTES_MAX, Caching, answer_through, is_cacheable, key_of
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import Answer
from event_analytics.questions.catalog import BY_NAME, QUESTIONS
from tests.builders import a_request
from tests.fakes import FakeAnswerCache

TOP_USERS = BY_NAME["top-users"]


class Time:
    """Goes on by sleeping alone; `at`: what happens at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.then: Callable[[], None] | None = None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.then is not None:
            self.then()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache() -> FakeAnswerCache:
    return FakeAnswerCache()


@pytest.fixture
def ask(cache: FakeAnswerCache, time: Time) -> Callable[..., Answer]:
    """Asks for "k"; every answer that is made says how many were."""
    made: list[int] = []

    def make() -> Answer:
        made.append(1)
        return Answer(200, str(len(made)).encode(), {"Content-Type": "text/plain"})

    caching = Caching(cache, 5_000, lambda: time.now, time.sleep)
    return lambda make=make: answer_through(caching, "k", make)


def test_an_answer_is_made_once_and_says_where_it_is_from(ask: Any, cache: FakeAnswerCache) -> None:
    first, second = ask(), ask()

    assert (first.body, second.body, second.status) == (b"1", b"1", 200)
    assert [each.headers["Cache-Status"] for each in (first, second)] == ["tallystream; fwd=miss", "tallystream; hit"]
    assert second.headers["Content-Type"] == "text/plain"
    assert cache.ttls_ms == {"k": 5_000}
    assert cache.claims == set()


def test_without_a_cache_every_answer_is_made(ask: Any, cache: FakeAnswerCache) -> None:
    cache.is_down = True

    assert [ask().body, ask().body] == [b"1", b"2"]


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"OK",
        b"\x93\xcc\xc8\xc4\x01",  # the first half of an answer
        b"\x91\xcc\xc8",  # a form with fewer fields
        b"\x93\xcc\xc8\xc4\x011\x80.",  # an answer and something behind it
        b"\x93\xcc\xc8\xc4\x011\x81\xa1\xff\xa1a",  # a header that is no text
    ],
)
def test_a_value_that_is_no_answer_is_a_miss_and_is_replaced(foreign: bytes, ask: Any, cache: FakeAnswerCache) -> None:
    cache.values["k"] = foreign

    first, second = ask(), ask()

    assert [each.headers["Cache-Status"] for each in (first, second)] == ["tallystream; fwd=miss", "tallystream; hit"]
    assert (first.body, second.body) == (b"1", b"1")


def test_who_finds_it_in_the_making_waits_for_it(ask: Any, cache: FakeAnswerCache, time: Time) -> None:
    kept = ask()
    value = cache.values.pop("k")
    cache.claims.add("k")
    time.then = lambda: cache.values.update(k=value) if time.now > 1 else None

    assert ask().body == kept.body
    assert 1 < time.now < 1.1


def test_who_looks_just_before_it_is_kept_and_claims_just_after_makes_none(
    ask: Any, cache: FakeAnswerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ask()
    value, claim = cache.values.pop("k"), cache.claim

    def claim_late(key: str, ttl_ms: int) -> bool:
        cache.values["k"] = value  # and its maker has let go
        return claim(key, ttl_ms)

    monkeypatch.setattr(cache, "claim", claim_late)

    answer = ask()

    assert (answer.body, answer.headers["Cache-Status"]) == (kept.body, "tallystream; hit")
    assert cache.claims == set()


def test_who_waited_long_enough_makes_it(ask: Any, cache: FakeAnswerCache, time: Time) -> None:
    cache.claims.add("k")

    assert ask().body == b"1"
    assert time.now == pytest.approx(5, abs=0.1)


def test_a_refusal_is_not_kept_and_the_next_one_asks_at_once(ask: Any, cache: FakeAnswerCache, time: Time) -> None:
    def refuse() -> Answer:
        raise Refused(Reason.QUERY_TOO_HEAVY, "too much")

    with pytest.raises(Refused):
        ask(refuse)

    assert (ask().body, time.now) == (b"1", 0)


def test_an_answer_that_takes_too_long_to_fetch_is_not_kept(ask: Any, cache: FakeAnswerCache, time: Time) -> None:
    large = Answer(200, b"x" * KEPT_BYTES_MAX, {})

    assert ask(lambda: large).body == large.body
    assert (cache.values, cache.claims) == ({}, set())


def test_reports_are_kept_and_nothing_that_is_read_once() -> None:
    kept = {question.name for question in QUESTIONS if is_cacheable(question)}

    assert kept == {"top-users", "latency", "errors", "top-conversations", "volume"}


def test_a_key_stands_for_all_that_makes_the_answer() -> None:
    base: dict[str, Any] = {"query": {"window": "24h", "limit": "5"}}
    others: list[dict[str, Any]] = [
        {"query": {"window": "24h"}},
        {"query": {"window": "24h", "limit": "6"}},
        {"query": {**base["query"], "properties.a": "1"}},
        {"query": {**base["query"], "properties.a": "1"}, "repeated": {"properties.a": ["gt:0", "1"]}},
        {**base, "headers": {"accept": "text/csv"}},
        {**base, "headers": {"accept": "text/csv; formulas=escaped"}},
    ]
    keys = {key_of(TOP_USERS, a_request(**fields)) for fields in (base, *others)}

    assert len(keys) == 1 + len(others)
    assert key_of(BY_NAME["latency"], a_request(**base)) not in keys
    assert key_of(TOP_USERS, a_request(**base, key="another", headers={"accept": "*/*"})) in keys
