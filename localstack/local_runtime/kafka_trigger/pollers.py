"""Who reads which partition, and how many invocations run at once: what Lambda's scaling comes to on one machine.

A poller owns partitions, and a batch never mixes partitions of two pollers. A mapping begins with the fewest pollers
(on demand: one), which makes the largest batches. A batch that keeps failing holds up every partition that stands in
it; Lambda sees the lag grow and adds pollers, up to one per partition, and the rebalance draws the borders of batches
anew. From then on a poisoned partition holds up itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# What one of Lambda's pollers does at once, at most.
INVOCATIONS_PER_POLLER = 5
# Lambda looks at the lag every minute and is done within three; nobody waits that long at a desk.
SCALING_SECONDS = 10.0
CALM_ROUNDS = 6  # rounds without a failing batch before partitions share a poller again
SUCCESSES_TO_RAISE = 5


def own_partitions(partitions: Iterable[int], pollers: int) -> list[list[int]]:
    """Return the partitions of each poller, spread evenly; no poller is without one."""
    ordered = sorted(partitions)
    return [owned for first in range(pollers) if (owned := ordered[first::pollers])]


@dataclass
class Scaling:
    """How many pollers a mapping has. `pollers` stays between the mapping's fewest and most."""

    pollers_min: int
    pollers_max: int
    interval_seconds: float = SCALING_SECONDS
    pollers: int = 0
    _checked: float = 0.0
    _calm_rounds: int = 0

    def __post_init__(self) -> None:
        self.pollers = self.pollers_min

    def scale(
        self, now: float, shared_failure_since: float | None, partitions: int, *, is_failing: bool = False
    ) -> bool:
        """Decide anew once an interval; return whether partitions change hands.

        Args:
            now: A monotonic clock's seconds.
            shared_failure_since: Since when the oldest batch of several partitions has failed, if one does.
            partitions: Of the topic.
            is_failing: Whether any batch fails: shared again with others, its partition would hold these up.
        """
        if now - self._checked < self.interval_seconds:
            return False
        self._checked = now
        most = max(self.pollers_min, min(self.pollers_max, partitions))
        if shared_failure_since is not None:
            self._calm_rounds = 0
            is_due = now - shared_failure_since >= self.interval_seconds
            return is_due and self._set(most)
        self._calm_rounds = 0 if is_failing else self._calm_rounds + 1
        return self._calm_rounds >= CALM_ROUNDS and self._set(self.pollers_min)

    def _set(self, pollers: int) -> bool:
        changed, self.pollers = pollers != self.pollers, pollers
        return changed


@dataclass
class Concurrency:
    """How many invocations may run at once: halved when Lambda throttles, raised by one after some successes."""

    most: int
    limit: int = 0
    _successes: int = 0

    def __post_init__(self) -> None:
        self.limit = self.most

    def allow(self, most: int) -> None:
        """Set the most anew, as the number of pollers changes."""
        if most != self.most:
            self.most = self.limit = most

    def throttled(self) -> None:
        """Note a 429: fewer at once, at least one."""
        self.limit, self._successes = max(1, self.limit // 2), 0

    def succeeded(self) -> None:
        """Note an invocation that was let in."""
        self._successes += 1
        if self._successes >= SUCCESSES_TO_RAISE:
            self.limit, self._successes = min(self.most, self.limit + 1), 0
