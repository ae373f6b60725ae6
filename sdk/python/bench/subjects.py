"""The three SDKs under one face. Each runs in a process of its own, so its libraries are imported by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

PROPERTIES: Final = {"model": "m-1", "tokens": 512, "cached": False, "channel": "web"}
INPUT: Final = "How do I reset my password? I tried it twice and the link in the mail does not work."
OUTPUT: Final = "Open the settings, choose security, then reset. " * 4


class Subject(NamedTuple):
    """`track(number)` is the call that is timed. `flush` returns when all is sent."""

    track: Callable[[int], object]
    flush: Callable[[], object]


def make_tallystream(url: str, queue_events: int, spool: Path | None) -> Subject:
    """Ours; `spool` None: memory only, as the others."""
    from tallystream import Client, Limits

    limits = Limits(queue_events=queue_events, queue_bytes=1 << 30)
    client = Client(url, "key", spool=spool or False, limits=limits)

    def track(number: int) -> object:
        return client.track_event(
            "question_answered", user_id=f"user-{number % 100}", conversation_id="c-1", latency_ms=812.5, input=INPUT,
            output=OUTPUT, properties=PROPERTIES,
        )  # fmt: skip

    return Subject(track, lambda: client.flush(60))


def make_segment(url: str, queue_events: int, _spool: Path | None) -> Subject:
    """segment-analytics-python with its defaults but for the queue."""
    from segment.analytics.client import Client

    client = Client("key", host=url, max_queue_size=queue_events)

    def track(number: int) -> object:
        fields = {"conversation_id": "c-1", "latency_ms": 812.5, "input": INPUT, "output": OUTPUT, **PROPERTIES}
        return client.track(f"user-{number % 100}", "question_answered", fields)

    return Subject(track, client.flush)


def make_posthog(url: str, queue_events: int, _spool: Path | None) -> Subject:
    """Posthog with its defaults but for the queue; without the look-ups of feature flags."""
    from posthog import Posthog

    client = Posthog("key", host=url, max_queue_size=queue_events, flush_interval=0.5)

    def track(number: int) -> object:
        fields = {"conversation_id": "c-1", "latency_ms": 812.5, "input": INPUT, "output": OUTPUT, **PROPERTIES}
        return client.capture("question_answered", distinct_id=f"user-{number % 100}", properties=fields)

    return Subject(track, client.flush)


def make_baseline(_url: str, _queue_events: int, _spool: Path | None) -> Subject:
    """What the machine takes for one `json.dumps` of the same event: how much of a figure is its noise."""
    import json

    fields = {"user_id": "user-1", "conversation_id": "c-1", "latency_ms": 812.5, "input": INPUT, "output": OUTPUT}
    return Subject(lambda number: json.dumps({**fields, "number": number, "properties": PROPERTIES}), lambda: None)


BASELINE: Final = "json.dumps alone"
MODULES: Final = {
    "tallystream, disk": "tallystream",
    "tallystream, memory": "tallystream",
    "segment-analytics-python": "segment.analytics",
    "posthog": "posthog",
    BASELINE: "json",
}
MAKERS: Final[dict[str, Callable[[str, int, Path | None], Any]]] = {
    "tallystream, disk": make_tallystream,
    "tallystream, memory": make_tallystream,
    "segment-analytics-python": make_segment,
    "posthog": make_posthog,
    BASELINE: make_baseline,
}
