"""The boundaries of the pipeline: what the functions need from the outside world, in their own words.

Every Protocol has a fake in `tests/fakes.py` and a real adapter; one contract test body runs over both.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

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


class EventStore(Protocol):
    """ClickHouse as the functions see it."""

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        """Return once newline-delimited JSON `rows` are in `table`; the same token again inserts nothing.

        `columns`: all that the rows may hold; () is every column that is stored.

        Raises:
            StoreUnavailable: they may or may not be in; insert again with the same token.
        """
        ...

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """Return once a statement such as INSERT SELECT has run; it must be one that may run twice.

        Raises:
            StoreUnavailable: it may or may not have run.
        """
        ...

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a query, by column name; parameters stand in the SQL as `{name:Type}`.

        Raises:
            StoreUnavailable: the store did not answer.
            Refused: query_too_heavy.
        """
        ...


class ObjectEntry(NamedTuple):
    """One object of a listing. `size`: bytes."""

    name: str
    size: int


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


class KeySource(Protocol):
    """Where the secret with the API keys is kept."""

    def read(self) -> str:
        """JSON text of the secret, at most a minute old."""
        ...
