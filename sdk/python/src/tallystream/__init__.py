"""Tallystream: track events without waiting, lose none, and ask exact questions about them.

from tallystream import Client

client = Client(url, key)
client.track_event("question_answered", user_id="u1", conversation_id="c1", latency_ms=812)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystream.asking import Rows
from tallystream.client import Client
from tallystream.errors import (
    EventDeleted,
    EventsDropped,
    EventsRejected,
    FailedEvent,
    InvalidEvent,
    KeyRefused,
    NotFound,
    RequestFailed,
    RequestRefused,
    SpoolFailed,
    TallystreamError,
    Unavailable,
)
from tallystream.ledger import Stats
from tallystream.limits import Limits
from tallystream.results import (
    Conversation,
    ErrorReport,
    Errors,
    Event,
    Health,
    Latency,
    LatencyReport,
    Pipeline,
    Report,
    SimilarEvent,
    SimilarEvents,
    TopConversations,
    TopUsers,
    UserCount,
    Volume,
    VolumeBucket,
    VolumeTotals,
)
from tallystream.timing import Timed
from tallystream.version import __version__
from tallystream.writing import UNSET

if TYPE_CHECKING:
    from tallystream.async_client import AsyncClient, AsyncRows

__all__ = [
    "UNSET",
    "AsyncClient",
    "AsyncRows",
    "Client",
    "Conversation",
    "ErrorReport",
    "Errors",
    "Event",
    "EventDeleted",
    "EventsDropped",
    "EventsRejected",
    "FailedEvent",
    "Health",
    "InvalidEvent",
    "KeyRefused",
    "Latency",
    "LatencyReport",
    "Limits",
    "NotFound",
    "Pipeline",
    "Report",
    "RequestFailed",
    "RequestRefused",
    "Rows",
    "SimilarEvent",
    "SimilarEvents",
    "SpoolFailed",
    "Stats",
    "TallystreamError",
    "Timed",
    "TopConversations",
    "TopUsers",
    "Unavailable",
    "UserCount",
    "Volume",
    "VolumeBucket",
    "VolumeTotals",
    "__version__",
]


def __getattr__(name: str) -> object:
    """`AsyncClient` and `AsyncRows`, imported when first named: asyncio costs more to import than all the rest."""
    if name not in ("AsyncClient", "AsyncRows"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tallystream import async_client  # noqa: PLC0415 - see above

    return getattr(async_client, name)
