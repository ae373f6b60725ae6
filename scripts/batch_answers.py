"""What the API's answer to one batch means for each event in it. Pure: sending and waiting is the lane's."""

from dataclasses import dataclass, field
from typing import Any, Final

from scripts.failures import EndpointWrong, KeyRefused, ScriptFailed
from scripts.http_calls import SERVER_ERROR, Answer
from scripts.outgoing import Outgoing

TAKEN: Final = frozenset({"accepted", "spooled"})
RETRY: Final = "retry"
REJECTED: Final = "rejected"

_OK: Final = frozenset({200, 202})
_KEY_REFUSED: Final = frozenset({401, 403})
_LATER: Final = frozenset({408, 429})
_NOT_OUR_API: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 415})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event for good. `reason` is empty unless it was rejected."""

    event: Outgoing
    status: str
    reason: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the API answers for this event from now on."""
        return self.status in TAKEN


@dataclass(frozen=True, slots=True)
class Verdict:
    """`settled` are done with; `parts` are to be sent again, each as a request of its own, in this order."""

    settled: list[Outcome] = field(default_factory=list)
    parts: list[list[Outgoing]] = field(default_factory=list)
    is_halved: bool = False
    why_again: str = ""


def judge_answer(answer: Answer, batch: list[Outgoing]) -> Verdict:
    """The verdict on a batch of at least one event.

    A request refused as a whole is halved until the event at fault stands alone: it takes no neighbours along.

    Raises:
        KeyRefused, EndpointWrong: sending on is pointless.
    """
    if answer.status in _OK:
        return _judge_items(answer.document().get("items"), batch)
    if answer.status in _LATER or answer.status >= SERVER_ERROR:
        return Verdict(parts=[batch], why_again=answer.reason())
    if answer.status in _KEY_REFUSED or answer.status in _NOT_OUR_API:
        raise _hopeless(answer)
    if len(batch) == 1:
        return Verdict(settled=[Outcome(batch[0], REJECTED, answer.reason())])
    middle = len(batch) // 2
    return Verdict(parts=[batch[:middle], batch[middle:]], is_halved=True)


def _judge_items(items: Any, batch: list[Outgoing]) -> Verdict:
    if not isinstance(items, list) or len(items) != len(batch):
        return Verdict(parts=[batch], why_again="answer_without_items")
    settled: list[Outcome] = []
    again: list[Outgoing] = []
    for event, item in zip(batch, items, strict=True):
        status = item.get("status") if isinstance(item, dict) else None
        if status in TAKEN:
            settled.append(Outcome(event, str(status)))
        elif status == REJECTED:
            settled.append(Outcome(event, REJECTED, str(item.get("reason") or "no_reason_given")))
        else:
            again.append(event)
    return Verdict(settled, [again] if again else [], why_again="items_to_retry" if again else "")


def _hopeless(answer: Answer) -> ScriptFailed:
    if answer.status in _KEY_REFUSED:
        return KeyRefused(f"POST /events: {answer.status} ({answer.reason()}), it needs a key with the scope `write`")
    return EndpointWrong(f"POST /events: {answer.status} ({answer.reason()}), is the URL right?")
