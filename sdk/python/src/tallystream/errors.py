"""Every way in which the client says no. `retriable`: the same may succeed later, as it stands.

    TallystreamError
    ├── InvalidEvent        the arguments make no event; nothing was queued
    ├── EventsRejected      the API refused them for what they say; they are not sent again
    ├── EventsDropped       given up here: the queue or the spool was full, or the client was closed
    ├── SpoolFailed         the disk refused, and events wait in memory meanwhile; or a file on it is damaged
    └── RequestFailed       one HTTP request
        ├── Unavailable         (retriable) no whole answer, 408, 429 or 5xx
        ├── KeyRefused          401, 403: another key is needed
        ├── NotFound            (retriable) 404 `event_not_found`: not there yet, or never sent
        ├── EventDeleted        410: it stays deleted
        └── RequestRefused      any other 4xx, an answer that is not our API's, or `setup_failed`: nothing can be sent

Reads raise them. Writes never raise: they hand them to `on_error`.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple


class FailedEvent(NamedTuple):
    """One event that will not arrive. `reason` is one of the API's names (docs/errors.md)."""

    event_id: str
    reason: str
    message: str = ""
    field: str | None = None
    line: bytes = b""
    """The event as it was to be sent: one line of JSON. Empty where it could not be encoded."""


class TallystreamError(Exception):
    """Root of the tree above. `reason` is a name to branch on; the message is for people."""

    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, reason: str = "", events: tuple[FailedEvent, ...] = (), count: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.events = events
        self.count = count or len(events)
        """How many events this is about; `events` lists them where each is known."""


class InvalidEvent(TallystreamError):
    """The arguments of one call make no event."""


class EventsRejected(TallystreamError):
    """The API took their neighbours and refused these."""


class EventsDropped(TallystreamError):
    """Events were given up before they were acknowledged. `reason`: `queue_full`, `spool_full` or `closed`."""


class SpoolFailed(TallystreamError):
    """The disk does not take events: they are delivered from memory, and lost with the process until it does.

    `reason`: `spool_failed`, or `spool_damaged` for a file that could not be read: set aside, its events given up.
    """


class RequestFailed(TallystreamError):
    """One HTTP request brought no answer, or one that refuses. `status` is None without an answer."""

    def __init__(
        self, message: str, *, reason: str, status: int | None = None, retry_after_seconds: float = 0.0, count: int = 0
    ) -> None:
        super().__init__(message, reason=reason, count=count)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Unavailable(RequestFailed):
    """No whole answer, 408, 429 or 5xx. Writes are sent again by themselves, under the same ids."""

    retriable = True


class KeyRefused(RequestFailed):
    """The key is missing, unknown, expired, or lacks the scope."""


class NotFound(RequestFailed):
    """There is no such event, or it is not loaded yet: within seconds of sending, ask again."""

    retriable = True


class EventDeleted(RequestFailed):
    """The event was deleted."""


class RequestRefused(RequestFailed):
    """The request is wrong as it stands, or the address is not our API's."""
