"""Calls -> lines: what makes an event, an update or a delete of the arguments. Never raises and never waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from tallystream.encoding import describe_failure, encode_line, pack_embedding, read_timestamp_ms
from tallystream.errors import FailedEvent, InvalidEvent
from tallystream.ids import ID_TIME_MS_END, mint_id, read_id
from tallystream.ledger import Ledger


class Unset(Enum):
    """Says of a field of an update that it stays as it is; None clears it."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
Embedding = Iterable[float] | str
"""Numbers, or base64 of little-endian float32."""


class EventWriter:
    """Hands lines to `put`. What is wrong with a call goes to the ledger, under the API's reasons where it has one."""

    def __init__(self, put: Callable[[bytes], object], ledger: Ledger, now_ms: Callable[[], int]) -> None:
        self._put = put
        self._ledger = ledger
        self._now_ms = now_ms

    def create(
        self,
        event_name: str,
        fields: Mapping[str, Any],
        timestamp: datetime | float | str | None,
        event_id: str | UUID | None,
    ) -> str:
        """The event's id, made here unless given. Fields that are None are left out."""
        identifier, now_ms = "", self._now_ms()
        try:
            when = now_ms if timestamp is None else read_timestamp_ms(timestamp)
            identifier = mint_id(_read_id_time(when, now_ms)) if event_id is None else read_id(event_id)
            line: dict[str, Any] = {"id": identifier, "timestamp": when, "event_name": event_name}
            for name, value in fields.items():
                if value is not None:
                    line[name] = _READERS[name](value) if name in _READERS else value
            _check(line)
            self._put(encode_line(line))
        except Exception as problem:  # noqa: BLE001 - a call never raises
            identifier = identifier or mint_id(now_ms)
            self._refuse(identifier, problem)
        return identifier

    def change(self, event_id: str | UUID, operation: str, fields: Mapping[str, Any]) -> None:
        """Fields that are UNSET are left out; None clears one."""
        try:
            line: dict[str, Any] = {"id": read_id(event_id), "op": operation}
            for name, value in fields.items():
                if value is not UNSET:
                    line[name] = _READERS[name](value) if name in _READERS and value is not None else value
            self._put(encode_line(line))
        except Exception as problem:  # noqa: BLE001 - as above
            self._refuse(str(event_id), problem)

    def _refuse(self, identifier: str, problem: Exception) -> None:
        reason = problem.reason if isinstance(problem, InvalidEvent) else "arguments_invalid"
        failed = FailedEvent(identifier, reason, str(problem))
        self._ledger.add(invalid=1)
        self._ledger.tell(InvalidEvent(f"{identifier}: {problem}", reason=reason, events=(failed,)))


def read_clock_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _read_id_time(when: int | str, now_ms: int) -> int:
    """The time that an id carries: the event's, where an id can."""
    return when if isinstance(when, int) and 0 <= when < ID_TIME_MS_END else now_ms


def _check(line: Mapping[str, Any]) -> None:
    if not line["event_name"]:
        raise InvalidEvent("event_name is required", reason="field_missing")
    if not (line.get("user_id") or line.get("conversation_id")):
        raise InvalidEvent("user_id or conversation_id is required", reason="actor_missing")


def _read_text_key(value: object) -> str:
    """Numbers and UUIDs are common ids."""
    return value if type(value) is str else str(value)


_READERS: Final[Mapping[str, Callable[[Any], object]]] = {
    "user_id": _read_text_key,
    "conversation_id": _read_text_key,
    "error": describe_failure,
    "input_embeddings": pack_embedding,
    "output_embeddings": pack_embedding,
}
