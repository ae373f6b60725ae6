"""Kafka, else S3, else "send it again": what a write request needs from both. Decides; the adapters act.

Kafka comes first, within its own budget. Whatever it did not acknowledge goes to S3 as one object. While Kafka is
known to be away a circuit breaker skips it, so that only the first request of an outage, and one probe every few
seconds, pays for the waiting. Publishing what was spooled is `spool_drain`'s.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from event_analytics.errors import LogUnavailable
from event_analytics.ports import EventLog, ObjectStore, Outcome
from event_analytics.routing import Record
from event_analytics.spool import encode_spool, from_first_failure, spool_name

SPOOL_SECONDS_MAX: Final = 3.0  # with Kafka's 5 s and 0.5 s to stop its producer below the promised 9 s
OPEN_SECONDS_FIRST: Final = 2.0  # a broker's restart or a change of leaders is often over by then
OPEN_SECONDS_MAX: Final = 8.0  # a probe may cost 5 s: rarer ones would only delay the way back to Kafka
_JITTER_STEPS: Final = 1_000


def _jitter() -> float:
    """0.75 to 1.25: functions that lost the broker at the same moment do not all come back at the same moment."""
    return 0.75 + secrets.randbelow(_JITTER_STEPS) / _JITTER_STEPS / 2


class Breaker:
    """Whether Kafka is worth a try. Open for some seconds after a failure, then the next request is the probe."""

    def __init__(self, now_us: Callable[[], int], jitter: Callable[[], float] = _jitter) -> None:
        self._now_us = now_us
        self._jitter = jitter
        self._failures = 0
        self._opened_us = 0
        self._open_us = 0

    def is_open(self) -> bool:
        """True while Kafka should be left alone. A clock that was set back does not keep it open."""
        return 0 <= self._now_us() - self._opened_us < self._open_us

    def report(self, *, is_success: bool) -> None:
        """Take the result of a try; each failure in a row doubles the time to the next."""
        if is_success:
            self._failures = self._open_us = 0
            return
        seconds = min(OPEN_SECONDS_MAX, OPEN_SECONDS_FIRST * 2.0 ** min(self._failures, 8))
        self._failures += 1
        self._opened_us = self._now_us()
        self._open_us = int(seconds * self._jitter() * 1_000_000)


class SpoolingLog:
    """An event log that also takes records while Kafka is away. One request at a time, as a Lambda has it.

    `request_id_source`: an id that no other call gets; with the time it names the object. `now_us`: Unix microseconds.
    `troubles`: what went wrong in the last `append`, by part (log, spool), for the invocation's line.
    """

    def __init__(
        self,
        log: EventLog,
        spool: ObjectStore,
        request_id_source: Callable[[], str],
        now_us: Callable[[], int],
        *,
        breaker: Breaker | None = None,
        spool_seconds_max: float = SPOOL_SECONDS_MAX,
    ) -> None:
        self._log = log
        self._spool = spool
        self._request_id_source = request_id_source
        self._now_us = now_us
        self._breaker = breaker or Breaker(now_us)
        self._spool_seconds_max = spool_seconds_max
        self.troubles: dict[str, str] = {}

    def append(self, records: Sequence[Record]) -> list[Outcome]:
        """One outcome per record, in order; never raises for a part that is away.

        A record that Kafka acknowledged is ACCEPTED, also where it is spooled once more behind a failure of its key.
        """
        self.troubles = {}
        if not records:
            return []
        accepted_us = self._now_us()
        acknowledged = self._append_to_log(records)
        rest = from_first_failure(records, acknowledged)
        if not rest:
            return [Outcome.ACCEPTED] * len(records)
        is_spooled = self._is_spooled(spool_name(accepted_us, self._request_id_source()), [records[i] for i in rest])
        otherwise = Outcome.SPOOLED if is_spooled else Outcome.RETRY
        return [Outcome.ACCEPTED if is_acknowledged else otherwise for is_acknowledged in acknowledged]

    def _append_to_log(self, records: Sequence[Record]) -> list[bool]:
        if self._breaker.is_open():
            self.troubles["log"] = "left alone after a failure"
            return [False] * len(records)
        try:
            acknowledged = self._log.append(records)
        except LogUnavailable as error:
            self.troubles["log"] = str(error)
            acknowledged = [False] * len(records)
        is_success = all(acknowledged)
        if not is_success:
            self.troubles.setdefault("log", f"{acknowledged.count(False)} of {len(records)} not acknowledged")
        self._breaker.report(is_success=is_success)
        return acknowledged

    def _is_spooled(self, name: str, records: Sequence[Record]) -> bool:
        """Whether the object is known to be stored, after `spool_seconds_max` at most.

        The wait is bounded here, by leaving the writing thread behind: time-outs of sockets bound one read each, not
        the whole. A write that ends later is complete and drained as any other; ids remove what came twice.
        """
        writer = ThreadPoolExecutor(1, thread_name_prefix="spool")
        stored = writer.submit(_store, self._spool, name, encode_spool(records))
        writer.shutdown(wait=False)
        try:
            error = stored.exception(timeout=self._spool_seconds_max)
        except TimeoutError:
            self.troubles["spool"] = f"not stored within {self._spool_seconds_max} s"
            return False
        if error is not None:
            self.troubles["spool"] = f"{type(error).__name__}: {error}"
            return False
        if not stored.result():
            self.troubles["spool"] = f"another object has the name {name}"
        return stored.result()


def _store(spool: ObjectStore, name: str, body: bytes) -> bool:
    # A client that writes again after a lost answer finds its own object.
    return spool.put_new(name, body) or spool.get(name) == body
