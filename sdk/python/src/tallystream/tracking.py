"""The write side of both clients: plain methods that encode, queue and return, so nothing here is ever awaited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystream.timing import Timed
from tallystream.writing import UNSET, Embedding, EventWriter, Unset


class Tracking:
    """Writes. None of them raises, and none waits (but for `sync` mode and `overflow="block"`).

    What cannot be sent, or was refused, goes to `on_error` and into `stats()`.
    """

    _writer: EventWriter

    def track_event(
        self,
        event_name: str,
        *,
        user_id: str | None = None,
        conversation_id: str | None = None,
        error: str | BaseException | None = None,
        latency_ms: float | None = None,
        input: object = None,  # noqa: A002 - the field's name
        output: object = None,
        input_embeddings: Embedding | None = None,
        output_embeddings: Embedding | None = None,
        properties: Mapping[str, Any] | None = None,
        conversation_metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | float | str | None = None,
        event_id: str | UUID | None = None,
    ) -> str:
        """The event's id: a UUIDv7 made now, under which it is sent however often that takes.

        Args:
            event_name: what happened, up to 128 characters, as all three keys.
            user_id: who; at least one of `user_id` and `conversation_id` is needed. Orders the events of one user.
            conversation_id: in which session.
            error: None and "" are success; an exception is kept as its type and message.
            latency_ms: how long it took.
            input: a text; any other JSON value is kept as its JSON text.
            output: as `input`.
            input_embeddings: up to 4,096 numbers; they travel as base64 of float32.
            output_embeddings: as `input_embeddings`.
            properties: JSON object of your own. Dates, UUIDs, sets and the like become texts and lists.
            conversation_metadata: JSON object about the session.
            timestamp: when it happened; default: now. A datetime without a zone is local time, a number milliseconds.
            event_id: an id of your own, any UUID. Give `timestamp` along: the same id at another time is another event.
        """
        fields = {
            "user_id": user_id,
            "conversation_id": conversation_id,
            "error": error,
            "latency_ms": latency_ms,
            "input": input,
            "output": output,
            "input_embeddings": input_embeddings,
            "output_embeddings": output_embeddings,
            "properties": properties,
            "conversation_metadata": conversation_metadata,
        }
        return self._writer.create(event_name, fields, timestamp, event_id)

    def update_event(
        self,
        event_id: str | UUID,
        *,
        event_name: str | Unset = UNSET,
        error: str | BaseException | Unset | None = UNSET,
        latency_ms: float | Unset | None = UNSET,
        input: object = UNSET,  # noqa: A002 - the field's name
        output: object = UNSET,
        input_embeddings: Embedding | Unset | None = UNSET,
        output_embeddings: Embedding | Unset | None = UNSET,
        properties: Mapping[str, Any] | Unset | None = UNSET,
        conversation_metadata: Mapping[str, Any] | Unset | None = UNSET,
    ) -> None:
        """Sets the fields given, clears those given as None; `properties` is merged in (JSON merge patch).

        The last update that the API accepts wins, field by field, whatever came before its event.
        """
        fields = {
            "event_name": event_name,
            "error": error,
            "latency_ms": latency_ms,
            "input": input,
            "output": output,
            "input_embeddings": input_embeddings,
            "output_embeddings": output_embeddings,
            "properties": properties,
            "conversation_metadata": conversation_metadata,
        }
        self._writer.change(event_id, "update", fields)

    def delete_event(self, event_id: str | UUID) -> None:
        """Deletes the event for ever, whatever comes later under its id."""
        self._writer.change(event_id, "delete", {})

    def timed(
        self, event_name: str, *, describe: Callable[..., Mapping[str, Any]] | None = None, **fields: Any
    ) -> Timed:
        """A context manager and decorator: the event of a call, with its `latency_ms` and, if it raised, its `error`.

        What the call raises goes on to the caller. Works with `with`, `async with`, functions and coroutine functions.

        Args:
            event_name: as in `track_event`.
            describe: for a decorator: gets the call's arguments, returns more fields.
            **fields: as in `track_event`.
        """
        return Timed(lambda: self._writer, event_name, fields, describe)
