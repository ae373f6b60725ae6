"""Which counts of a window's hours were found to hold, kept for the next question about the same hours.

Whoever is told needs to check one sum only: marks of an hour only ever become more, so all of these counts hold for as
long as their hours together have the marks that they had. Finding out what holds is a quarter of the answer for a day.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from event_analytics.hour_marks import HOUR_SECONDS

LEARNED_SECONDS_MIN: Final = 60.0  # between two times of finding out about a window: hours are counted as often
WINDOWS_MAX: Final = 64  # windows that end now share theirs within an hour; each has 5 kB
_DIGESTS: Final = 2**64  # digests are added as ClickHouse's sumWithOverflow does

Bounds = tuple[int, int]  # of the full hours of a window: half-open, Unix seconds


class Held(NamedTuple):
    """Counts that were found to hold, of hours by the Unix second of their start.

    `events`, `marks`, `digest`: of all these hours together.
    """

    hours: tuple[int, ...]
    generations: tuple[str, ...]
    events: int
    marks: int
    digest: int


class _Learned(NamedTuple):
    at: float
    held: Held | None


class HeldByWindow:
    """What is known of some windows. `clock`: seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learned: dict[Bounds, _Learned] = {}

    def of(self, bounds: Bounds, find: Callable[[], Held]) -> Held | None:
        """What holds of these hours, found out first if it is not known; None where it lately turned out not to.

        What is known of all hours is good until it is forgotten. Where some did not hold, more of them may by now.
        """
        now = self._clock()
        learned = self._learned.get(bounds)
        if learned is None or (not _is_complete(learned.held, bounds) and now - learned.at >= LEARNED_SECONDS_MIN):
            learned = self._keep(bounds, _Learned(now, find()))
        return learned.held

    def _keep(self, bounds: Bounds, learned: _Learned) -> _Learned:
        if bounds not in self._learned and len(self._learned) >= WINDOWS_MAX:
            self._learned.clear()
        self._learned[bounds] = learned
        return learned

    def forget(self, bounds: Bounds) -> None:
        """It does not hold any more."""
        self._learned[bounds] = self._learned[bounds]._replace(held=None)


def _is_complete(held: Held | None, bounds: Bounds) -> bool:
    return held is not None and len(held.hours) * HOUR_SECONDS == bounds[1] - bounds[0]


def held_of(rows: Sequence[Mapping[str, Any]]) -> Held:
    """What rows {starts_at, generation, events, marks, digest} say, one per hour."""
    return Held(
        hours=tuple(row["starts_at"] for row in rows),
        generations=tuple(row["generation"] for row in rows),
        events=sum(row["events"] for row in rows),
        marks=sum(row["marks"] for row in rows),
        digest=sum(row["digest"] for row in rows) % _DIGESTS,
    )
