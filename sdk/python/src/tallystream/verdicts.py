"""What an answer to a request with events means for each of them. Pure: sending and waiting is the sender's."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tallystream.answers import Answer, error_of, unreadable
from tallystream.encoding import id_of_line
from tallystream.errors import FailedEvent, RequestFailed, Unavailable

TAKEN: Final = frozenset({"accepted", "spooled"})
REJECTED: Final = "rejected"

# Refusals of a request as a whole that one event in it may have caused.
_DIVISIBLE: Final = frozenset({400, 413, 422})


class Settled(NamedTuple):
    """The API answered for each event. `rest`: those that it asks to be sent again, in their order."""

    acknowledged: int
    failed: list[FailedEvent]
    rest: list[bytes]
    retry_after_seconds: float


class SendAgain(NamedTuple):
    """Nothing is known to have been taken: send the same later."""

    error: Unavailable


class SendLess(NamedTuple):
    """The request as a whole was refused: a smaller one shows which event is at fault, or fits."""


class StandStill(NamedTuple):
    """The key or the address is refused: whatever is sent will be, until a person has mended it."""

    error: RequestFailed


Verdict = Settled | SendAgain | SendLess | StandStill


def judge(answer: Answer, lines: list[bytes]) -> Verdict:
    """The verdict on a request that held these lines, at least one."""
    if answer.is_ok:
        return _judge_items(answer, lines)
    error = error_of(answer)
    if isinstance(error, Unavailable):
        return SendAgain(error)
    if answer.status not in _DIVISIBLE:
        return StandStill(error)
    if len(lines) > 1:
        return SendLess()
    failed = FailedEvent(id_of_line(lines[0]), error.reason, str(error), None, lines[0])
    return Settled(0, [failed], [], 0.0)


def _judge_items(answer: Answer, lines: list[bytes]) -> Verdict:
    items = answer.document().get("items")
    if not isinstance(items, list) or len(items) != len(lines):
        return SendAgain(unreadable(answer, f"without an item for each of {len(lines)} events"))
    acknowledged = 0
    failed: list[FailedEvent] = []
    rest: list[bytes] = []
    for line, item in zip(lines, items, strict=True):
        status = item.get("status") if isinstance(item, dict) else None
        if status in TAKEN:
            acknowledged += 1
        elif status == REJECTED:
            failed.append(_failed_event(line, item))
        else:
            rest.append(line)
    wait = error_of(answer).retry_after_seconds if rest else 0.0
    return Settled(acknowledged, failed, rest, wait)


def _failed_event(line: bytes, item: dict[str, Any]) -> FailedEvent:
    field = item.get("field")
    return FailedEvent(
        event_id=id_of_line(line),
        reason=str(item.get("reason") or "no_reason_given"),
        message=str(item.get("message") or ""),
        field=str(field) if field else None,
        line=line,
    )
