"""Any server of the Redis protocol as an `AnswerCache`. No fault of it reaches the caller, nor costs one answer 50 ms.

A thread of its own asks the server, and a caller waits 10 ms for it, whatever it is busy with: time-outs of a socket
bound neither how long a name takes to resolve nor how long a server may talk that sends byte after byte. What is under
way goes on without the caller, so that a name or TLS that takes longer costs hits, not time: the connection is there
for a later call. After a fault nothing is asked for a tenth of a second, which doubles with each further one up to one
second: a moment in which the machine was busy costs few hits, a cache that is away little time.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, Final, TypeVar

from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.exceptions import ResponseError
from valkey.retry import Retry

_CALL_SECONDS_MAX: Final = 0.010  # an answer takes up to five calls, which together may cost it 50 ms
_PAUSE_SECONDS_MIN: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 1.0
_THREAD_SECONDS_MAX: Final = 1.0  # of the thread for each step, to connect or to hear more: as long as callers pause
_OWED_MAX: Final = 32  # a claim ends by itself in 21 s, and in an outage one a second is left behind at most
_CLAIM: Final = "/claim"

_T = TypeVar("_T")


class ValkeyAnswerCache:
    """One connection, opened at the first use and kept between invocations. `url`: `redis://` or `rediss://`.

    `call_seconds_max` bounds each call, by the wall; `clock`, in seconds that only grow, says when a pause is over.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        password: str | None = None,
        call_seconds_max: float = _CALL_SECONDS_MAX,
    ) -> None:
        self._client = Valkey.from_url(
            url.replace("redis", "valkey", 1) if url.startswith("redis") else url,
            password=password,
            socket_connect_timeout=_THREAD_SECONDS_MAX,
            socket_timeout=_THREAD_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
            lib_name=None,  # two round trips less for each connection
            lib_version=None,
        )
        self._clock = clock
        self._call_seconds_max = call_seconds_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answer-cache")
        self._given_up: Future[Any] | None = None
        self._held: set[str] = set()
        self._owed: deque[str] = deque(maxlen=_OWED_MAX)
        self._silent_until = 0.0
        self._pause_seconds = _PAUSE_SECONDS_MIN

    def get(self, key: str) -> bytes | None:
        """As `AnswerCache.get`."""
        return self._ask(lambda client: _bytes_or_none(client.get(key)), None)

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """As `AnswerCache.put`."""
        self._ask(lambda client: client.set(key, value, px=ttl_ms), None)

    def claim(self, key: str, ttl_ms: int) -> bool:
        """As `AnswerCache.claim`."""
        return self._ask(lambda client: self._claim(client, key + _CLAIM, ttl_ms), True)

    def release(self, key: str) -> None:
        """As `AnswerCache.release`. What cannot be given up now is so before whatever is asked next."""
        if (name := key + _CLAIM) in self._held:
            self._held.discard(name)
            self._owed.append(name)
            self._ask(lambda _client: None, None)

    def _ask(self, command: Callable[[Any], _T], without: _T) -> _T:
        if self._clock() < self._silent_until:
            return without
        if self._given_up is not None and not self._given_up.done():
            with suppress(AttributeError):  # the thread itself may be closing that connection
                self._client.connection_pool.disconnect()
        asked = self._thread.submit(self._run, command, self._clock() + self._call_seconds_max)
        wait([asked], self._call_seconds_max)
        if asked.done() and (answered := asked.result()):
            self._pause_seconds = _PAUSE_SECONDS_MIN
            return answered[0]
        if not asked.cancel():  # else the thread is still at what was given up before
            self._given_up = asked
        self._silent_until = self._clock() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, _PAUSE_SECONDS_MAX)
        return without

    def _run(self, command: Callable[[Any], _T], until: float) -> tuple[_T] | tuple[()]:
        """What a command answers; nothing after a fault."""
        with suppress(Exception):  # of any kind: there is no end to what a server may say and a client stumble over
            pool = self._client.connection_pool
            pool.release(pool.get_connection("GET"))  # connected: what follows takes the same one
            if self._clock() < until:  # else nobody waits, and what is put late is kept for longer than it may be
                self._give_up_owed()
                return (command(self._client),)
        return ()

    def _claim(self, client: Any, name: str, ttl_ms: int) -> bool:
        was_held = name in self._held
        self._held.add(name)  # before it is sent: what nobody answers may have been heard
        is_mine = bool(client.set(name, b"1", nx=True, px=ttl_ms))
        if not is_mine and not was_held:
            self._held.discard(name)
        return is_mine

    def _give_up_owed(self) -> None:
        while self._owed:
            with suppress(ResponseError):  # it refuses, and would again
                self._client.delete(self._owed[0])
            self._owed.popleft()


def _bytes_or_none(kept: object) -> bytes | None:
    if kept is None or isinstance(kept, bytes):
        return kept
    raise TypeError(type(kept))
