"""Finds the rows that the store refuses among those it takes, so that one poison record costs nobody else a row.

Decides how a refused batch is split and when a refusal is not the rows' fault after all. `clickhouse_codes` has said
before which errors come this far: whatever passes by itself, or concerns the whole table, is raised through.

Measured on chDB with 3,700 rows (2 cores): no poison 0.06 s, one poison row 0.5 s, ten 3 s, a hundred 23 s, all of them
57 s. An attempt costs 8 ms refused and about 30 ms taken, and n rows cost at most 2n - 1: the function's time-out must
leave room for that, or a batch full of poison would never end.
"""

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from event_analytics.dead_letters import REASON_STORE_REJECTED, DeadRecord
from event_analytics.errors import StoreRejected, StoreUnavailable
from event_analytics.kafka_batch import KafkaRecord, digest_of, runs_of
from event_analytics.ports import EventStore

_TOKEN_DIGEST_BYTES: Final = 16
# So many refusals with a code that we do not know, and not one row taken: then the server is ill, not the data. 20 rows
# that are all bad cost 39 attempts, so up to 20 are believed; of a larger batch 20 parts of it have been tried by then.
UNKNOWN_REFUSALS_MAX: Final = 39
# A row that every table of load takes: fields that a table lacks are skipped. No answer shows it, as it is deleted, nor
# counts it, as it was accepted at no time that is asked about; its id is random, and no event's. Merges leave one.
_SURELY_GOOD_ROW: Final = (
    b'{"id":"5c7f3a16-93ce-4b0e-8d7c-2f61a90b54e3","change_id":"5c7f3a16-93ce-4b0e-8d7c-2f61a90b54e3",'
    b'"timestamp":"2000-01-01T00:00:00Z","accepted_us":0,"version":0,"is_deleted":1}'
)

T = TypeVar("T")


class Row(Protocol):
    """One row to insert, as a line of JSON, and the record it was made of."""

    @property
    def record(self) -> KafkaRecord:
        """What Kafka had."""
        ...

    @property
    def line(self) -> bytes:
        """What the store gets."""
        ...


class LoadRow(NamedTuple):
    """A row, and nothing else."""

    record: KafkaRecord
    line: bytes


def _assume_well() -> None:
    """Where `insert` has seen itself that the store is well."""


def isolate(
    rows: Sequence[T],
    insert: Callable[[Sequence[T]], None],
    unknown_refusals_max: float = UNKNOWN_REFUSALS_MAX,
    check_store: Callable[[], None] = _assume_well,
) -> list[tuple[T, StoreRejected]]:
    """Insert all rows that can be; the others come back in their order, each with its own refusal.

    A refused batch is halved level by level, so that a part which is taken is found before the parts grow small.
    `insert` gets neighbours in their order, and must give equal parts equal insert tokens: a batch may come again.
    `unknown_refusals_max`: infinite where `insert` raises StoreRejected only if the rows are at fault for certain.
    `check_store`: raises StoreUnavailable where the store takes nothing. It is asked at the first refusal for a reason
    that nobody knows, and in the end unless a row was taken after the last: a disk may fill up in the middle.

    Raises:
        StoreUnavailable: any that `insert` or `check_store` raised, or the store refuses everything for a reason nobody
            knows. Some rows may be in; nothing may be acknowledged.
    """
    parts = deque([range(len(rows))] if rows else [])
    refused: dict[int, StoreRejected] = {}
    is_any_taken = is_well = False
    unknown_refusals = 0
    while parts:
        part = parts.popleft()
        try:
            insert(rows[part.start : part.stop])
        except StoreRejected as error:
            if not error.is_known:
                unknown_refusals += 1
                is_well = unknown_refusals == 1
                if is_well:
                    check_store()
            if unknown_refusals > unknown_refusals_max and not is_any_taken:
                raise StoreUnavailable(f"no row of {len(rows)} is taken, so none is at fault: {error}") from error
            if len(part) == 1:
                refused[part.start] = error
            else:
                middle = len(part) // 2
                parts.extend((part[:middle], part[middle:]))
        else:
            is_any_taken = is_well = True
    if unknown_refusals and not is_well:
        check_store()
    return [(rows[index], refused[index]) for index in sorted(refused)]


def insert_isolated(
    store: EventStore, table: str, rows: Sequence[Row], epoch: str, columns: Sequence[str] = ()
) -> list[DeadRecord]:
    """Insert rows into `table`; what the store refuses comes back as dead records, the rest is in.

    Raises:
        StoreUnavailable: as `isolate`.
    """

    def insert(part: Sequence[Row]) -> None:
        token = insert_token([row.record for row in part], epoch)
        store.insert_rows(table, b"\n".join(row.line for row in part), token, columns)

    return [
        DeadRecord(row.record, REASON_STORE_REJECTED, error.detail, error.code, error.name, not error.is_known)
        for row, error in isolate(rows, insert, check_store=lambda: _check_that_rows_are_taken(store, table, columns))
    ]


def _check_that_rows_are_taken(store: EventStore, table: str, columns: Sequence[str]) -> None:
    """Return if the table takes a row that is surely good: then those that it refuses are at fault, whatever the code.

    `columns`: as the rows name them.
    """
    named = list(dict.fromkeys((*columns, "version", "is_deleted"))) if columns else ()
    token = f"check/{uuid.uuid4()}"  # one that the table had seen would write nothing, and prove nothing
    try:
        store.insert_rows(table, _SURELY_GOOD_ROW, token, named)
    except StoreRejected as error:
        raise StoreUnavailable(f"even a row that is surely good is refused: {error}") from error


def insert_token(records: Sequence[KafkaRecord], epoch: str) -> str:
    """Insert deduplication token: the same for the same records, however they were ordered or cut out of a batch.

    `epoch` tells apart two lives of a topic that restarted at offset 0. The digest covers what lies between offsets.
    """
    return "/".join(
        f"{epoch}/{run.topic}/{run.partition}/{run.first_offset}-{run.last_offset}/"
        f"{digest_of(run.records, _TOKEN_DIGEST_BYTES)}"
        for run in runs_of(records)
    )
