"""How much one API key may send: a token bucket of bytes per key, in the memory of one execution environment.

API Gateway's usage plan counts requests over the whole API, and one request may be 300 bytes or 4 MB. This bounds the
bytes, before anything is decoded, and it is there where no gateway is (an ALB). It knows one environment only: all of
them together take the cap times their number, which the function's concurrency bounds.
"""

import math
from typing import Final

from event_analytics.errors import Reason, Refused

BURST_SECONDS: Final = 2.0  # of the rate, saved up by a key that was quiet: a client that flushes its queue passes
REQUEST_BYTES_MIN: Final = 1_000  # what a request costs however small: its share of decoding, signing and sending
KEYS_MAX: Final = 4_096  # buckets kept, some 200 bytes each; beyond it the longest quiet key starts anew


class KeyBudget:
    """Buckets by key id. `bytes_per_second`: refill of each; 0 takes everything."""

    def __init__(self, bytes_per_second: float, burst_min: float) -> None:
        self._rate = bytes_per_second
        self._burst = max(bytes_per_second * BURST_SECONDS, burst_min)  # the largest request passes a full bucket
        self._buckets: dict[str, tuple[float, int]] = {}

    def spend(self, key_id: str, size: int, now_us: int) -> None:
        """Return once the bytes are booked.

        Raises:
            Refused: throttled, with the whole seconds until there is room; nothing is booked then.
        """
        if not self._rate:
            return
        cost = min(max(size, REQUEST_BYTES_MIN), self._burst)
        left, seen_us = self._buckets.pop(key_id, (self._burst, now_us))
        left = min(self._burst, left + max(0, now_us - seen_us) / 1_000_000 * self._rate)
        is_within = cost <= left
        self._keep(key_id, left - cost if is_within else left, max(now_us, seen_us))
        if not is_within:
            message = f"this key sends more than {self._rate:,.0f} bytes a second: send this request again later"
            raise Refused(Reason.THROTTLED, message, retry_after_seconds=math.ceil((cost - left) / self._rate))

    def _keep(self, key_id: str, left: float, now_us: int) -> None:
        if len(self._buckets) >= KEYS_MAX:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key_id] = (left, now_us)
