"""What a store says that nobody reaches does not repeat the login."""

import traceback

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.valkey_answer_cache import ValkeyAnswerCache
from event_analytics.errors import StoreUnavailable

CANARY = "c4n4ry0f5ecrets"
NOBODY = "127.0.0.1:9"


def test_a_store_that_is_not_reached_does_not_repeat_the_login() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        ClickHouseEventStore(f"http://{NOBODY}", "u", CANARY).select("SELECT 1", {})

    chain = "".join(traceback.format_exception(refused.value))
    assert CANARY not in str(refused.value)
    assert CANARY not in chain


def test_a_cache_that_is_not_reached_is_empty_and_shows_no_password() -> None:
    cache = ValkeyAnswerCache(f"redis://{NOBODY}/0", password=CANARY)

    assert cache.get("k") is None
    assert CANARY not in repr(cache)
