"""The boundaries of the pipeline: what the functions need from the outside world, in their own words.

Every Protocol has a fake in `tests/fakes.py` and a real adapter; one contract test body runs over both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from event_analytics.routing import Record


class EventLog(Protocol):
    """Kafka as the functions see it. The caller owns the records; the log owns time-outs and connections."""

    def append(self, records: Sequence[Record]) -> list[bool]:
        """One answer per record, in order: True once the broker has it durably, False if that is not known."""
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

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of a query, by column name; parameters stand in the SQL as `{name:Type}`.

        Raises:
            StoreUnavailable: the store did not answer.
            Refused: query_too_heavy.
        """
        ...


class ObjectStore(Protocol):
    """S3 as the functions see it, within one bucket."""

    def put_new(self, name: str, body: bytes) -> bool:
        """Return once an object of that name is stored: True if it was written now, False if it was there already."""
        ...


class KeySource(Protocol):
    """Where the secret with the API keys is kept."""

    def read(self) -> str:
        """JSON text of the secret, at most a minute old."""
        ...
