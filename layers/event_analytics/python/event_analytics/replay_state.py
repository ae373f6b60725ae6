"""A replay as it is asked for and as far as it has come: the values that the job's objects in S3 hold.

Encodes and reads them; `replay_journal` stores them, `replay_run` advances them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from event_analytics.errors import Reason, Refused
from event_analytics.event import TextKey

_REPLAY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # a part of object names
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PAYLOAD_FIELDS: Final = frozenset({"replay_id", "start", "end", "user_id", "conversation_id", "event_name", "rate"})


class ReplayJob(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be replayed: records accepted from `start_ms` until before `end_ms`, Unix milliseconds.

    `rate`: events per second at most. `is_scheduled`: whether the schedule continues it when its runner ends; one that
    a person runs waits for the person.
    """

    replay_id: str
    start_ms: int
    end_ms: int
    user_id: str | None = None
    conversation_id: str | None = None
    event_name: str | None = None
    rate: int | None = None
    is_scheduled: bool = True

    @property
    def is_filtered(self) -> bool:
        """Whether it sends only some events of its window."""
        return (self.user_id, self.conversation_id, self.event_name) != (None, None, None)

    def asks_for_the_same(self, other: "ReplayJob") -> bool:
        """Whether both send the same records, at whatever rate and under whatever id."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("start_ms", "end_ms", "user_id", "conversation_id", "event_name")
        )


class Position(msgspec.Struct, frozen=True):
    """From where a replay continues: the pass, its folder, and the first offset there that is not acknowledged."""

    pass_index: int = 0
    folder: str = ""
    next_offset: int = 0


class Counts(msgspec.Struct, frozen=True):
    """What a replay has done so far. `repeated_records`: dropped, as another object had them."""

    events_sent: int = 0
    changes_sent: int = 0
    bytes_sent: int = 0
    records_read: int = 0
    repeated_records: int = 0
    records_without_value: int = 0

    def plus(self, **more: int) -> "Counts":
        """These counts and more."""
        return msgspec.structs.replace(self, **{name: getattr(self, name) + count for name, count in more.items()})

    def since(self, earlier: "Counts") -> dict[str, int]:
        """What came after an earlier state, by name."""
        return {name: getattr(self, name) - getattr(earlier, name) for name in self.__struct_fields__}


class Status(StrEnum):
    """Whether there is anything left to do."""

    RUNNING = "running"  # or waiting for the next runner
    DONE = "done"
    FAILED = "failed"  # continuing would fail again; `failure` says why


class ReplayState(msgspec.Struct, frozen=True):
    """One step of a job. `lease_until_ms`: until then only `holder` may take the next step; 0: anybody.

    `unreadable`: names of objects of which records are missing, because they are damaged or gone. `fresh_ids`: ids
    that matched the filter since the step before, base64 of 16 bytes each.
    """

    job: ReplayJob
    started_ms: int
    updated_ms: int
    step: int = 0
    status: Status = Status.RUNNING
    holder: str = ""
    lease_until_ms: int = 0
    position: Position = Position()
    counts: Counts = Counts()
    unreadable: tuple[str, ...] = ()
    failure: str = ""
    finished_ms: int | None = None
    fresh_ids: bytes = b""

    def changed(self, **fields: Any) -> "ReplayState":
        """The same with other fields."""
        return msgspec.structs.replace(self, **fields)


_decoder: Final = msgspec.json.Decoder(ReplayState)


def encode_state(state: ReplayState) -> bytes:
    """JSON text."""
    return msgspec.json.encode(state)


def decode_state(body: bytes) -> ReplayState:
    """The state; raises msgspec.MsgspecError for what `encode_state` does not write."""
    return _decoder.decode(body)


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    start: str
    end: str
    replay_id: str | None = None
    user_id: TextKey | None = None
    conversation_id: TextKey | None = None
    event_name: TextKey | None = None
    rate: int | None = None


def read_job(payload: Mapping[str, Any], default_id: str, *, is_scheduled: bool = True) -> ReplayJob:
    """The job of `{"start", "end", "replay_id"?, "user_id"?, "conversation_id"?, "event_name"?, "rate"?}`.

    Raises:
        Refused: parameter_unknown, wrong_type, window_invalid, id_invalid, limit_invalid.
    """
    for name in payload:
        if name not in _PAYLOAD_FIELDS:
            raise Refused(Reason.PARAMETER_UNKNOWN, f"a replay knows no {name}", name)
    try:
        asked = msgspec.convert(dict(payload), _Payload)
    except msgspec.ValidationError as error:
        raise Refused(Reason.WRONG_TYPE, str(error)) from error
    replay_id = default_id if asked.replay_id is None else asked.replay_id
    if _REPLAY_ID.fullmatch(replay_id) is None:
        raise Refused(Reason.ID_INVALID, "a replay_id has 1 to 64 letters, digits, '.', '_' or '-'", "replay_id")
    if asked.rate is not None and asked.rate < 1:
        raise Refused(Reason.LIMIT_INVALID, "rate is at least 1 event a second", "rate")
    start_ms, end_ms = _milliseconds(asked.start, "start"), _milliseconds(asked.end, "end")
    if end_ms <= start_ms:
        raise Refused(Reason.WINDOW_INVALID, "end lies after start", "end")
    return ReplayJob(
        replay_id, start_ms, end_ms, asked.user_id, asked.conversation_id, asked.event_name, asked.rate, is_scheduled
    )


def _milliseconds(text: str, field: str) -> int:
    """The first whole millisecond that is not before the instant: acceptance times have no finer ones."""
    try:
        instant = msgspec.convert(text, datetime)
        if instant.tzinfo is not None and instant >= _EPOCH:
            return -((_EPOCH - instant) // _MILLISECOND)
    except (msgspec.ValidationError, OverflowError):
        pass
    raise Refused(Reason.WINDOW_INVALID, f"{field} is RFC 3339 with its offset from UTC, such as Z, from 1970", field)
