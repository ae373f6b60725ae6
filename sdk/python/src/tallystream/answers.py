"""One HTTP answer of the API, and how it says no. Knows nothing of how it came here."""

from __future__ import annotations

import json
import time
from typing import Any, Final, NamedTuple

from tallystream.errors import EventDeleted, KeyRefused, NotFound, RequestFailed, RequestRefused, Unavailable

RETRY_AFTER_SECONDS_MAX: Final = 30.0  # a server that asks for more is down: ask sooner

_LATER: Final = frozenset({408, 429})
_NO_KEY: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_GONE: Final = 410
_SERVER_ERROR: Final = 500
_REQUEST_ERROR: Final = 300  # 3xx too: our API redirects nowhere


class NoAnswer(Exception):  # noqa: N818 - a fact about one call; the callers decide whether it is an error
    """The connection failed before a whole answer was read; the request may or may not have been served."""


class Answer(NamedTuple):
    """One whole answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < _REQUEST_ERROR  # noqa: PLR2004 - HTTP's own number

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def error_of(answer: Answer) -> RequestFailed:
    """The error that an answer other than 2xx stands for."""
    reason, message = _read_error(answer)
    known = {
        "reason": reason,
        "status": answer.status,
        "retry_after_seconds": read_retry_after(answer.headers.get("retry-after", "")),
    }
    text = f"{answer.status} {reason}: {message}" if message else f"{answer.status} {reason}"
    return _class_of(answer.status, reason)(text, **known)  # type: ignore[arg-type]


def has_our_reason(answer: Answer) -> bool:
    """Whether it is our API that refuses, not a proxy, a firewall or a server of something else."""
    error = answer.document().get("error")
    return isinstance(error, dict) and bool(error.get("reason"))


def unreadable(answer: Answer, wanted: str) -> Unavailable:
    """The error of an answer that says yes and is not what our API says: a proxy's page, or half of something."""
    return Unavailable(f"{answer.status}, but {wanted}", reason="answer_unreadable", status=answer.status)


def no_answer(problem: NoAnswer) -> Unavailable:
    """The error of a call that brought no whole answer."""
    return Unavailable(str(problem), reason="no_answer")


def read_retry_after(text: str, now: float | None = None) -> float:
    """Seconds asked for, 0 to RETRY_AFTER_SECONDS_MAX; 0 where the header is absent or cannot be read.

    `now`: Unix seconds, for the form that names a date.
    """
    if text.isascii() and text.strip().isdigit():
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to import

    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return 0.0
    return min(max(moment - (time.time() if now is None else now), 0.0), RETRY_AFTER_SECONDS_MAX)


def _class_of(status: int, reason: str) -> type[RequestFailed]:
    if status in _LATER or status >= _SERVER_ERROR:
        return Unavailable
    if status in _NO_KEY:
        return KeyRefused
    if status == _NOT_FOUND and reason == "event_not_found":
        return NotFound
    return EventDeleted if status == _GONE else RequestRefused


def _read_error(answer: Answer) -> tuple[str, str]:
    """Our own name and message, else the gateway's message."""
    document = answer.document()
    if has_our_reason(answer):
        error = document["error"]
        return str(error["reason"]), str(error.get("message") or "")
    return f"http_{answer.status}", str(document.get("message") or "")
