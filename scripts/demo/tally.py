"""The independent count: what was accepted, per user, per event name and in time. Pure, and knows no SQL."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from event_analytics.event import TIMESTAMP_AHEAD_MS_MAX, TIMESTAMP_MS_MIN
from scripts.batch_answers import Outcome
from scripts.outgoing import Outgoing

SAMPLE_CONVERSATIONS_MAX: Final = 300  # kept whole to be compared event by event
SAMPLE_EVENTS_MAX: Final = 200  # of one conversation; longer ones are no timeline for a screen
TIMELINE_EVENTS: Final = range(8, 16)  # a conversation of this length reads well


@dataclass(frozen=True, slots=True)
class Survey:
    """A first look at all events: how many, and the half-open window of their times, in Unix milliseconds."""

    total: int
    start_ms: int
    end_ms: int


def survey_events(events: Iterable[Outgoing]) -> Survey:
    """The survey of all events; an empty window where none has a time that the API takes."""
    total, start_ms, end_ms = 0, 0, 0
    latest_ms = round(datetime.now(UTC).timestamp() * 1_000) + TIMESTAMP_AHEAD_MS_MAX
    for event in events:
        total += 1
        timestamp_ms = event.timestamp_ms
        if timestamp_ms is not None and TIMESTAMP_MS_MIN <= timestamp_ms <= latest_ms:
            start_ms = min(start_ms or timestamp_ms, timestamp_ms)
            end_ms = max(end_ms, timestamp_ms + 1)
    return Survey(total, start_ms, end_ms)


@dataclass(slots=True)
class Tally:
    """Counts each accepted id once, under the event that was settled first with it."""

    by_user: Counter[str] = field(default_factory=Counter)
    without_user: int = 0
    repeated: int = 0
    start_ms: int = 0
    end_ms: int = 0
    latencies: dict[str, "array[float]"] = field(default_factory=dict)
    samples: dict[str, list[Outgoing]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    @property
    def events(self) -> int:
        """Different events accepted."""
        return len(self._ids)

    def watch(self, events: Iterable[Outgoing]) -> Iterator[Outgoing]:
        """Passes the events on, and keeps the first conversations whole, in the order sent."""
        for event in events:
            key = event.conversation_id
            if key in self.samples or (key and len(self.samples) < SAMPLE_CONVERSATIONS_MAX):
                sample = self.samples.setdefault(key, [])
                if len(sample) <= SAMPLE_EVENTS_MAX:
                    sample.append(event)
            yield event

    def record(self, outcomes: list[Outcome]) -> None:
        """Counts what the API answered for."""
        for outcome in outcomes:
            if outcome.is_taken:
                self._count(outcome.event)

    def _count(self, event: Outgoing) -> None:
        if event.id in self._ids:
            self.repeated += 1
            return
        self._ids.add(event.id)
        if event.user_id:
            self.by_user[event.user_id] += 1
        else:
            self.without_user += 1
        if event.latency_ms is not None:
            self.latencies.setdefault(event.event_name, array("d")).append(event.latency_ms)
        if event.timestamp_ms is not None:
            self.start_ms = min(self.start_ms or event.timestamp_ms, event.timestamp_ms)
            self.end_ms = max(self.end_ms, event.timestamp_ms + 1)

    def accepted_sample(self, conversation_id: str) -> list[Outgoing]:
        """The accepted events of a kept conversation, by time."""
        accepted = {event.id: event for event in self.samples[conversation_id] if event.id in self._ids}
        return sorted(accepted.values(), key=lambda event: event.timestamp_ms or 0)

    def choose_timeline(self) -> str | None:
        """A kept conversation that reads well: several people if any, 8 to 15 events if any, the first such."""
        ids = [key for key, events in self.samples.items() if len(events) <= SAMPLE_EVENTS_MAX]
        scored = ((self._rank(key), place, key) for place, key in enumerate(ids) if self.accepted_sample(key))
        return min(scored, default=(None, None, None))[2]

    def _rank(self, conversation_id: str) -> tuple[int, int]:
        events = self.accepted_sample(conversation_id)
        outside = 0 if len(events) in TIMELINE_EVENTS else abs(len(events) - TIMELINE_EVENTS.start)
        return outside, -min(len({event.user_id for event in events}), 2)

    def conversations_without_user(self) -> list[str]:
        """Kept conversations that hold an accepted event of no user: top-users cannot speak for those."""
        return [key for key in self.samples if any(not event.user_id for event in self.accepted_sample(key))]
