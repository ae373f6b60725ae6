"""Which counts of a window's hours were found to hold, kept for the next question about the same hours.

Whoever is told needs to check one sum only: marks of an hour only ever become more, so all of these counts hold for as
long as their hours together have the marks that they had. Finding out what holds takes a third of the answer for a day.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

# As long as an hour that is over takes until it is counted: what is found later is not missed for longer than that.
KEPT_SECONDS_MAX: Final = 300.0
WINDOWS_MAX: Final = 64  # windows ending now share theirs within an hour; each has 10 kB
_DIGESTS: Final = 2**64  # digests are added as ClickHouse's sumWithOverflow does

Hours = tuple[int, int]  # half-open, Unix seconds


class Held(NamedTuple):
    """Counts that were found to hold, of hours by the Unix second of their start.

    `events`, `marks`, `digest`: of all these hours together.
    """

    hours: tuple[int, ...]
    generations: tuple[str, ...]
    events: int
    marks: int
    digest: int


class HeldHours:
    """What is known of some windows. `clock`: seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: dict[Hours, tuple[float, Held | None]] = {}

    def of(self, hours: Hours, find: Callable[[], Held]) -> Held | None:
        """What holds of these hours, found out first if that is not known; None where it lately turned out not to."""
        now = self._clock()
        found_at, held = self._found.get(hours, (-KEPT_SECONDS_MAX, None))
        if now - found_at >= KEPT_SECONDS_MAX:
            held = self._keep(hours, now, find())
        return held

    def _keep(self, hours: Hours, now: float, held: Held) -> Held:
        if len(self._found) >= WINDOWS_MAX:
            self._found.clear()
        self._found[hours] = (now, held)
        return held

    def forget(self, hours: Hours) -> None:
        """It does not hold any more. Where events come late, what would be found now would not hold for long either."""
        self._found[hours] = (self._clock(), None)


def held_of(rows: Sequence[Mapping[str, Any]]) -> Held:
    """What rows {starts_at, generation, events, marks, digest} say, one per hour."""
    return Held(
        hours=tuple(row["starts_at"] for row in rows),
        generations=tuple(row["generation"] for row in rows),
        events=sum(row["events"] for row in rows),
        marks=sum(row["marks"] for row in rows),
        digest=sum(row["digest"] for row in rows) % _DIGESTS,
    )
