"""One lane: batches go out one after the other on one connection, each settled before the next is begun.

A user's events all take the same lane, so their order is the order given, through every retry.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Final

from scripts.batch_answers import Outcome, Verdict, judge_answer
from scripts.failures import GaveUp
from scripts.http_calls import HttpCaller, NoAnswer
from scripts.outgoing import Outgoing

CONTENT_TYPE: Final = "application/x-ndjson"
RETRY_AFTER_SECONDS_MAX: Final = 60.0  # a server that asks for more is down: ask sooner


@dataclass(frozen=True, slots=True)
class RetryTimes:
    """How long to wait between attempts, in seconds, and when to give up."""

    first: float = 0.2
    longest: float = 10.0
    give_up: float = 120.0  # without one event settled: a restart of any part takes less


@dataclass(slots=True)
class Lane:
    """Sends batches on one connection. Owned by one thread; `stop` ends its waits from another."""

    caller: HttpCaller
    stop: Event
    settle: Callable[[list[Outcome]], None]
    times: RetryTimes = field(default_factory=RetryTimes)
    request_seconds: list[float] = field(default_factory=list)
    retries: int = 0

    def send(self, batch: list[Outgoing]) -> None:
        """Returns when each event of the batch is settled, or at once when `stop` is set.

        Raises:
            KeyRefused, EndpointWrong, GaveUp: nothing more should be sent.
        """
        waiting = deque([batch])
        failures, settled_at = 0, monotonic()
        while waiting and not self.stop.is_set():
            part = waiting.popleft()
            verdict, retry_after = self._attempt(part)
            waiting.extendleft(reversed(verdict.parts))
            if verdict.settled:
                self.settle(verdict.settled)
                failures, settled_at = 0, monotonic()
            if not verdict.parts or verdict.is_halved:
                continue
            self.retries += 1
            if monotonic() - settled_at > self.times.give_up:
                raise GaveUp(f"nothing settled for {self.times.give_up:.0f} s: {verdict.why_again}")
            self.stop.wait(max(retry_after, self._pause(failures)))
            failures += 1

    def _attempt(self, part: list[Outgoing]) -> tuple[Verdict, float]:
        body = b"\n".join(event.line for event in part)
        try:
            answer = self.caller.call("POST", "/events", body, CONTENT_TYPE)
        except NoAnswer as problem:
            return Verdict(parts=[part], why_again=str(problem)), 0.0
        self.request_seconds.append(answer.seconds)
        return judge_answer(answer, part), read_retry_after(answer.headers.get("retry-after", ""))

    def _pause(self, failures: int) -> float:
        """Full jitter: lanes that failed together do not come back together."""
        ceiling = min(self.times.longest, self.times.first * 2.0 ** min(failures, 30))
        return random.SystemRandom().uniform(0, ceiling)


def read_retry_after(value: str) -> float:
    """Seconds asked for, at most RETRY_AFTER_SECONDS_MAX; 0 where it is absent or a date: our API sends none."""
    return min(float(value), RETRY_AFTER_SECONDS_MAX) if value.isascii() and value.isdigit() else 0.0
