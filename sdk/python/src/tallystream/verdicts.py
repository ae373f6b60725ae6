"""What an answer to a request with events means for each of them. Pure: sending and waiting is the sender's."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tallystream.answers import Answer, error_of, has_our_reason, unreadable
from tallystream.encoding import id_of_line
from tallystream.errors import FailedEvent, RequestFailed, Unavailable

TAKEN: Final = frozenset({"accepted", "spooled"})
REJECTED: Final = "rejected"

# Refusals of a request as a whole that one event in it may have caused, if it is our API that refuses. A gateway's page
# under these numbers says nothing of events: it would refuse each of them.
_ABOUT_AN_EVENT: Final = frozenset({400, 413, 422})
_TOO_LARGE: Final = 413  # gateways say it, too, and take less


class Settled(NamedTuple):
    """The API answered for each event. `rest`: those that it asks to be sent again, in their order."""

    acknowledged: int
    failed: list[FailedEvent]
    rest: list[bytes]
    error: Unavailable | None = None
    """Why there is a rest, and how long to leave the API alone."""


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
    is_ours = answer.status in _ABOUT_AN_EVENT and has_our_reason(answer)
    if len(lines) > 1 and (is_ours or answer.status == _TOO_LARGE):
        return SendLess()
    if not is_ours:  # a single event that a gateway finds too large is kept, too: its limit can be raised
        return StandStill(error)
    failed = FailedEvent(id_of_line(lines[0]), error.reason, str(error), None, lines[0])
    return Settled(0, [failed], [])


def _judge_items(answer: Answer, lines: list[bytes]) -> Verdict:
    items = answer.document().get("items")
    if not isinstance(items, list) or len(items) != len(lines):
        return SendAgain(unreadable(answer, f"without an item for each of {len(lines)} events"))
    acknowledged = 0
    failed: list[FailedEvent] = []
    rest: list[bytes] = []
    reason = ""
    for line, item in zip(lines, items, strict=True):
        status = item.get("status") if isinstance(item, dict) else None
        if status in TAKEN:
            acknowledged += 1
        elif status == REJECTED:
            failed.append(_failed_event(line, item))
        else:
            rest.append(line)
            reason = reason or str((isinstance(item, dict) and item.get("reason")) or "retry")
    return Settled(acknowledged, failed, rest, _ask_again(answer, reason, len(rest)) if rest else None)


def _ask_again(answer: Answer, reason: str, count: int) -> Unavailable:
    wait = error_of(answer).retry_after_seconds
    message = f"{answer.status} {reason}: the API asks for them again"
    return Unavailable(message, reason=reason, status=answer.status, retry_after_seconds=wait, count=count)


def _failed_event(line: bytes, item: dict[str, Any]) -> FailedEvent:
    field = item.get("field")
    return FailedEvent(
        event_id=id_of_line(line),
        reason=str(item.get("reason") or "no_reason_given"),
        message=str(item.get("message") or ""),
        field=str(field) if field else None,
        line=line,
    )
