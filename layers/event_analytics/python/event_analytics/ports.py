"""The boundaries of the pipeline: what the functions need from the outside world, in their own words.

Every Protocol has a fake in `tests/fakes.py` and a real adapter; one contract test body runs over both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from event_analytics.routing import Record


class Outcome(StrEnum):
    """What became of one record that was to be written."""

    ACCEPTED = "accepted"  # Kafka has it durably
    SPOOLED = "spooled"  # S3 has it durably, Kafka will
    RETRY = "retry"  # nobody is known to have it


class EventLog(Protocol):
    """Kafka as the functions see it. The caller owns the records; the log owns time-outs and connections."""

    def append(self, records: Sequence[Record]) -> list[bool]:
        """One answer per record, in order: True once the broker has it durably, False if that is not known."""
        ...


class DurableLog(Protocol):
    """Where writes go: Kafka, or what stands in for it while it is down.

    `troubles`: what went wrong in the last append, by part; empty if nothing did.
    """

    @property
    def troubles(self) -> Mapping[str, str]:
        """As above."""
        ...

    def append(self, records: Sequence[Record]) -> list[Outcome]:
        """What became of each record, in order; nothing is answered before it is durable."""
        ...


ASK_SECONDS_MAX: Final = 20.0  # of the store for one answer; the gateway gives up at 29 s


class AnswerLimits(NamedTuple):
    """What one answer may cost the store before it is refused; bytes and rows are of each statement of it."""

    seconds: float = ASK_SECONDS_MAX
    memory_bytes: int = 4_000_000_000  # a quarter of a server of 16 GB
    rows_read: int = 2_000_000_000  # 20 s of eight cores; refused before it is read


ANSWER_LIMITS: Final = AnswerLimits()


class Reading(NamedTuple):
    """Rows of a question by column name, and what the store did for them. `elapsed_ms`: its own time."""

    rows: list[dict[str, Any]]
    rows_read: int
    bytes_read: int
    elapsed_ms: float


class EventStore(Protocol):
    """ClickHouse as the functions see it."""

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        """Return once newline-delimited JSON `rows` are in `table`; the same token again inserts nothing.

        `columns`: all that the rows may hold; () is every column that is stored.

        Raises:
            StoreUnavailable: they may or may not be in; insert again with the same token.
            StoreRejected: none is in, for what at least one of them holds.
        """
        ...

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Return once a statement such as INSERT SELECT has run; it must be one that may run twice.

        Raises:
            StoreUnavailable: it may or may not have run.
            StoreRejected: it fails for what rows hold that it reads; a part of it may have run.
        """
        ...

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a query, by column name; parameters stand in the SQL as `{name:Type}`.

        Raises:
            StoreUnavailable: the store did not answer.
            Refused: query_too_heavy.
        """
        ...

    def ask(self, sql: str, parameters: Mapping[str, Any], seconds_max: float = ASK_SECONDS_MAX) -> Reading:
        """As `select`, for a caller who waits so long: within the limits of one answer, and with what it cost.

        Raises:
            StoreUnavailable: the store did not answer.
            Refused: query_too_heavy: it would read or hold too much, or take too long.
        """
        ...


class ObjectEntry(NamedTuple):
    """One object of a listing. `size`: bytes. `written_at`: last, by the store's clock."""

    name: str
    size: int
    written_at: datetime


class ObjectStore(Protocol):
    """S3 as the functions see it, within one bucket."""

    def put_new(self, name: str, body: bytes) -> bool:
        """Return once an object of that name is stored: True if it was written now, False if it was there already."""
        ...

    def get(self, name: str) -> bytes | None:
        """The object's body; None if there is none of that name."""
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        """Objects under a prefix in the order of their names (UTF-8 bytes), those after the name `after` only."""
        ...

    def delete(self, name: str) -> None:
        """Return once no object of that name is stored; it need not have been there."""
        ...


class FormerVersion(NamedTuple):
    """What an object was before it was overwritten or deleted; a bucket with versioning keeps it for a while."""

    name: str
    version: str


class ErasableStore(ObjectStore, Protocol):
    """S3 for the one who takes erased records out of objects, and keeps the newest state in some.

    Nobody else replaces an object or looks at its past.
    """

    def rewrite(self, name: str, edit: Callable[[bytes], bytes]) -> bool:
        """Return once the object is what `edit` makes of its body; False if there is none of that name.

        If somebody else writes it meanwhile, `edit` is asked again with the new body: no write is lost.
        """
        ...

    def former(self, prefix: str, after: str = "") -> Iterator[FormerVersion]:
        """Former versions under a prefix in the order of their names, of those after the name `after` only."""
        ...

    def get_former(self, former: FormerVersion) -> bytes | None:
        """The body that it had; None if it is gone."""
        ...

    def forget(self, former: FormerVersion) -> None:
        """Return once the former version is gone for good."""
        ...


class TopicOffsets(Protocol):
    """How far Kafka's topics and their consumer groups are, by partition."""

    def ends(self, topic: str) -> dict[int, int]:
        """The offset that the next record of each partition will get.

        Raises:
            LogUnavailable: the brokers did not say.
        """
        ...

    def reached(self, group: str, topic: str) -> dict[int, int]:
        """The offset before which the group has nothing left to read.

        Raises:
            LogUnavailable: as above.
        """
        ...


class KeySource(Protocol):
    """Where the secret with the API keys is kept."""

    def read(self) -> str:
        """JSON text of the secret, at most a minute old."""
        ...

    def reread(self) -> str:
        """The same, at most a few seconds old: for a key that the older text does not know."""
        ...


class AnswerCache(Protocol):
    """Answers kept for a short time, shared by all functions. It never fails: whatever is wrong, it is empty."""

    def get(self, key: str) -> bytes | None:
        """What is kept under a key; None for nothing."""
        ...

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        """Keep a value for so many milliseconds, if that can be done."""
        ...

    def claim(self, key: str, ttl_ms: int) -> bool:
        """Whether the caller is to make what is missing: False while another is about it, for `ttl_ms` at most."""
        ...

    def release(self, key: str) -> None:
        """Give up a claim."""
        ...


class Notices(Protocol):
    """Where people are told what happened."""

    def publish(self, subject: str, text: str) -> None:
        """Return once the notice is on its way; it may go out twice."""
        ...
