"""Any server of the Redis protocol as an `AnswerCache`. No fault of it reaches the caller.

After a fault nothing is asked of it for a second: a cache that hangs costs one request its time-outs, not every one.
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError
from valkey.retry import Retry

_SECONDS_MAX: Final = 0.02  # to connect, and to answer: with both, a fault costs less than the 50 ms it may
_PAUSE_SECONDS: Final = 1.0
_CLAIM: Final = "/claim"

_T = TypeVar("_T")


class ValkeyAnswerCache:
    """One connection pool, opened at the first use and kept between invocations. `url`: `redis://` or `rediss://`."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic, password: str | None = None) -> None:
        self._client = Valkey.from_url(
            url.replace("redis", "valkey", 1) if url.startswith("redis") else url,
            password=password,
            socket_connect_timeout=_SECONDS_MAX,
            socket_timeout=_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        self._clock = clock
        self._silent_until = 0.0

    def get(self, key: str) -> bytes | None:
        """As `AnswerCache.get`."""
        kept: bytes | None = self._ask(lambda client: client.get(key), None)
        return kept

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """As `AnswerCache.put`."""
        self._ask(lambda client: client.set(key, value, px=ttl_ms), None)

    def claim(self, key: str, ttl_ms: int) -> bool:
        """As `AnswerCache.claim`."""
        return bool(self._ask(lambda client: client.set(key + _CLAIM, b"1", nx=True, px=ttl_ms), True))

    def release(self, key: str) -> None:
        """As `AnswerCache.release`."""
        self._ask(lambda client: client.delete(key + _CLAIM), None)

    def _ask(self, command: Callable[[Any], _T], without: _T) -> _T:
        if self._clock() < self._silent_until:
            return without
        try:
            return command(self._client)
        except (ValkeyError, OSError):
            self._silent_until = self._clock() + _PAUSE_SECONDS
            return without
