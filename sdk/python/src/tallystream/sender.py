"""One request at a time: takes the oldest lines, sends them, and settles each as the API says. Starts no threads.

Lines that come later wait until those before them are settled, so a user's events arrive in the order of their calls,
through every retry. Ids are in the lines, so whatever is sent twice counts once.
"""

from __future__ import annotations

import random
import time
from typing import Final, NamedTuple, Protocol

from tallystream.answers import Answer, NoAnswer, no_answer
from tallystream.backoff import STANDSTILL_SECONDS, pause_seconds
from tallystream.compression import Compression
from tallystream.encoding import build_request
from tallystream.errors import EventsRejected
from tallystream.ledger import Ledger
from tallystream.limits import Limits
from tallystream.memory_queue import Taken
from tallystream.verdicts import SendAgain, SendLess, Settled, StandStill, judge

CONTENT_TYPE: Final = "application/x-ndjson"
_UNSUPPORTED_MEDIA_TYPE: Final = 415
_random = random.SystemRandom()


class Calls(Protocol):
    """What the sender needs of `transport.Transport`."""

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The whole answer to one request; raises NoAnswer, at the latest after these seconds."""


class Supply(Protocol):
    """Lines in the order of their calls."""

    def take(self) -> Taken | None:
        """The oldest batch; None if there is none. Called again only after `done`."""

    def done(self) -> None:
        """Every line taken last is settled."""


class Attempt(NamedTuple):
    """What one request came to. `pause_seconds`: how long to leave the API alone now."""

    pause_seconds: float = 0.0
    is_standstill: bool = False
    """The key or the address is refused."""


class Sender:
    """Owned by one thread at a time. `settled_position`: every event put up to it is settled."""

    def __init__(self, source: Supply, calls: Calls, compression: Compression, ledger: Ledger, limits: Limits) -> None:
        self._source = source
        self._calls = calls
        self._compression = compression
        self._ledger = ledger
        self._limits = limits
        self._events_max = limits.batch_events
        self._failures = 0
        self._deadline: float | None = None
        self._lines: list[bytes] = []
        self._position = 0
        self.settled_position = 0

    @property
    def in_hand(self) -> int:
        """How many lines are taken and not settled."""
        return len(self._lines)

    def seconds_left(self) -> float | None:
        """How long a request of the present attempt may take; None: as long as requests do."""
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def attempt(self, deadline: float | None = None) -> Attempt | None:
        """Sends the oldest lines once; None if there are none.

        `deadline`: by the monotonic clock, if the caller waits no longer than that.
        """
        self._deadline = deadline
        if not self._lines:
            taken = self._source.take()
            if taken is None:
                return None
            self._lines, self._position = taken.lines, taken.position
        part = self._lines[: self._events_max]
        verdict = self._send(part)
        if isinstance(verdict, Settled):
            return self._settle(part, verdict)
        if isinstance(verdict, SendLess):
            self._events_max = max(len(part) // 2, 1)
            return Attempt()
        self._ledger.add(failed_requests=1)
        self._ledger.tell(verdict.error)
        if isinstance(verdict, StandStill):
            return Attempt(STANDSTILL_SECONDS, is_standstill=True)
        return Attempt(self._pause(verdict.error.retry_after_seconds))

    def _send(self, part: list[bytes]) -> Settled | SendAgain | SendLess | StandStill:
        path, plain = build_request(part)
        body, packed = self._compression.pack(plain)
        self._ledger.add(requests=1)
        try:
            headers = {"Content-Type": CONTENT_TYPE, **packed}
            answer = self._calls.call("POST", path, body, headers, timeout_seconds=self.seconds_left())
        except NoAnswer as problem:
            return SendAgain(no_answer(problem))
        if packed and answer.status == _UNSUPPORTED_MEDIA_TYPE:
            self._compression.refuse()
            return self._send(part)
        return judge(answer, part)

    def _settle(self, part: list[bytes], settled: Settled) -> Attempt:
        self._lines[: len(part)] = settled.rest
        self._ledger.add(acknowledged=settled.acknowledged, rejected=len(settled.failed))
        if settled.failed:
            first = settled.failed[0]
            message = f"{first.reason}, the first of them {first.event_id}: {first.message}"
            self._ledger.tell(EventsRejected(message, reason=first.reason, events=tuple(settled.failed)))
        if settled.acknowledged or settled.failed:
            self._failures = 0
        if not self._lines:
            self._source.done()
            self.settled_position = max(self.settled_position, self._position)
        if settled.error is not None:
            self._ledger.add(failed_requests=1)
            self._ledger.tell(settled.error)
            return Attempt(self._pause(settled.error.retry_after_seconds))
        self._events_max = min(self._events_max * 2, self._limits.batch_events)
        return Attempt()

    def _pause(self, retry_after_seconds: float) -> float:
        self._failures += 1
        return pause_seconds(self._failures, retry_after_seconds, _random.uniform)
