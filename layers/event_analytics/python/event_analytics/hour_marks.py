"""Marks of hours that were written to: what tells a rollup that its count of an hour is no longer all there is.

Whoever writes rows into `events` marks their hours once the insert has returned, and before the batch is acknowledged.
A writer that dies in between is called again with the same batch, so it marks the hours of what it was asked to write,
not only of what it finds still to be done. One mark too many costs a recount, one too few would cost a wrong answer.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, Protocol

from event_analytics.ports import EventStore

HOUR_SECONDS: Final = 3_600
HOURS_AT_ONCE: Final = 10_000  # of one statement: 110 kB; ClickHouse's HTTP interface takes 128 KiB of one parameter

_MARK: Final = """
INSERT INTO hour_marks (hour)
SELECT toDateTime(arrayJoin({hours:Array(UInt32)}), 'UTC')
"""


class Timed(Protocol):
    """What of a create tells its hour; `event.StoredEvent` is one."""

    @property
    def timestamp(self) -> datetime:
        """UTC."""
        ...


def hours_of(creates: Iterable[Timed]) -> set[int]:
    """The hours that creates are written to, as the Unix seconds of their starts."""
    return {int(hour) * HOUR_SECONDS for hour in {create.timestamp.timestamp() // HOUR_SECONDS for create in creates}}


def mark_hours(store: EventStore, hours: Iterable[int]) -> None:
    """Return once each hour (Unix seconds of its start) is marked; none is no call.

    Raises:
        StoreUnavailable: they may or may not be.
    """
    for part in parts_of(hours):
        store.execute(_MARK, {"hours": part})


def parts_of(hours: Iterable[int]) -> Iterator[list[int]]:
    """Each hour once, in order, as many at a time as one statement takes."""
    asked = sorted(set(hours))
    for first in range(0, len(asked), HOURS_AT_ONCE):
        yield asked[first : first + HOURS_AT_ONCE]
