"""Answers kept for a few seconds, so that a hundred people at one dashboard ask the store once.

A kept answer was exact when it was made, and says when that was; nothing is kept longer than its seconds. Whoever finds
none makes it, and one alone: the others wait for it a while. The cache is never needed: its adapter answers "nothing
here, go on" whatever is wrong with it, and a value that is no answer is nothing here too.
"""

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from event_analytics.http_exchange import Answer, Request
from event_analytics.ports import AnswerCache
from event_analytics.questions.answering import form_of
from event_analytics.questions.question import Question

CACHED_ROUTES: Final = "/reports/"  # what many ask alike; lists and single events are read by one person each
CLAIM_MS: Final = 21_000  # an answer takes at most 20 s; a maker that died frees its claim then
WAIT_SECONDS_MAX: Final = 5.0  # for another's answer; a heavier question is then asked twice
POLL_SECONDS: Final = 0.02
KEPT_BYTES_MAX: Final = 250_000  # a larger one may take longer to fetch than a cache is waited for; 2,500 rows or so
_HEADER: Final = "Cache-Status"  # RFC 9211
_MARK: Final = "tallystream; {}"
_HIT, _MISS = "hit", "fwd=miss"
_FORM: Final = "tallystream/1"  # of key and value: raise it when either changes

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)


class Caching(NamedTuple):
    """A cache, how long it keeps an answer, and the time: `clock` in seconds that only grow."""

    cache: AnswerCache
    ttl_ms: int
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def is_cacheable(question: Question) -> bool:
    """Whether answers to a question are kept."""
    return question.method == "GET" and question.route.startswith(CACHED_ROUTES)


def key_of(question: Question, request: Request) -> str:
    """Equal for requests that one answer serves. A window such as `24h` counts as it is written, not as it resolves."""
    form = form_of(request.headers.get("accept", ""))
    asked = sorted((name, *request.repeated.get(name, (text,))) for name, text in request.query.items())
    document = msgspec.json.encode([question.name, form, sorted(request.path_parameters.items()), asked])
    return f"{_FORM}/{hashlib.sha256(document).hexdigest()}"


def is_from_cache(answer: Answer) -> bool:
    """Whether an answer of `answer_through` was a kept one."""
    return answer.headers[_HEADER] == _MARK.format(_HIT)


def answer_through(caching: Caching, key: str, make: Callable[[], Answer]) -> Answer:
    """The kept answer, else the one that `make` makes, which is kept if it is not too large. What `make` raises is not.

    Its header `Cache-Status` says which (RFC 9211).
    """
    deadline = caching.clock() + WAIT_SECONDS_MAX
    while (kept := _decode(caching.cache.get(key))) is None:
        is_mine = caching.cache.claim(key, CLAIM_MS)
        if is_mine and (kept := _decode(caching.cache.get(key))) is not None:  # put since the look before
            caching.cache.release(key)
            break
        if is_mine or caching.clock() >= deadline:
            return _marked(_make_and_keep(caching, key, make), _MISS)
        caching.sleep(POLL_SECONDS)
    return _marked(kept, _HIT)


def _decode(kept: bytes | None) -> Answer | None:
    try:
        return None if kept is None else _decoder.decode(kept)
    except ValueError:  # all that msgspec raises: it is cut off, or a stranger's, until the next put replaces it
        return None


def _make_and_keep(caching: Caching, key: str, make: Callable[[], Answer]) -> Answer:
    try:
        made = make()
        value = _encoder.encode(made)
        if len(value) <= KEPT_BYTES_MAX:
            caching.cache.put(key, value, caching.ttl_ms)
    finally:
        caching.cache.release(key)
    return made


def _marked(answer: Answer, outcome: str) -> Answer:
    return answer._replace(headers={**answer.headers, _HEADER: _MARK.format(outcome)})
