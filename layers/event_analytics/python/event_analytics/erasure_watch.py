"""Erasures as `load` meets them: batches without the records that were erased, and the tables that tell of them.

A batch costs one count of a small table. Only where somebody was erased are its records looked at, and the erased users
are read again only when their number has changed, which every erasure does before it takes effect.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from event_analytics.change import is_change
from event_analytics.erasure import Erased, Erasure, Hit, id_of
from event_analytics.erasure_sql import (
    COUNT_ERASURES,
    ERASED_IDS_TABLE,
    ERASURES_TABLE,
    SELECT_ERASURES,
    compile_erased_among,
)
from event_analytics.id_lists import IDS_MAX
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import EventStore


class ScreenedBatch(NamedTuple):
    """The records of a batch that stay, and what took the others away."""

    kept: Sequence[KafkaRecord]
    hits: list[Hit]


class ErasureWatch:
    """Knows who was erased. One object lives as long as its process."""

    def __init__(self) -> None:
        self._users: dict[str, Erasure] = {}
        self._rows = 0

    def screen(self, store: EventStore, records: Sequence[KafkaRecord]) -> ScreenedBatch:
        """Leave out what was erased before this call, and note the ids of the events that were left out.

        Raises:
            StoreUnavailable: nothing is known; the batch must come again.
        """
        self._refresh(store)
        if not self._users:
            return ScreenedBatch(records, [])
        erased = Erased(self._users, _erased_among(store, records))
        kept: list[KafkaRecord] = []
        hits: list[Hit] = []
        for record in records:
            hit = erased.find(record)
            if hit is None:
                kept.append(record)
            else:
                hits.append(hit)
        note_erased_ids(store, created_ids(hits))  # changes of these ids may have come before, or come later
        return ScreenedBatch(kept, hits)

    def _refresh(self, store: EventStore) -> None:
        counted = store.select(COUNT_ERASURES, {})
        rows = int(counted[0]["number"]) if counted else 0
        if rows != self._rows:
            self._users = {
                row["user_hash"]: Erasure(row["user_hash"], int(row["erased_us"]))
                for row in store.select(SELECT_ERASURES, {})
            }
            self._rows = rows


def created_ids(hits: Iterable[Hit]) -> dict[Erasure, list[bytes]]:
    """Ids of erased creates, 16 bytes each, by the erasure that covers them."""
    ids: defaultdict[Erasure, list[bytes]] = defaultdict(list)
    for hit in hits:
        if hit.created_id is not None:
            ids[hit.erasure].append(hit.created_id.bytes)
    return ids


def note_erased_ids(store: EventStore, ids: Mapping[Erasure, Iterable[bytes]]) -> None:
    """Return once loading drops the changes of these events.

    Raises:
        StoreUnavailable: it may not; note them again.
    """
    rows = [
        {"id": str(UUID(bytes=identifier)), **erasure._asdict()}
        for erasure, found in ids.items()
        for identifier in found
    ]
    _insert(store, ERASED_IDS_TABLE, rows)


def note_erasures(store: EventStore, erasures: Iterable[Erasure]) -> None:
    """Return once loading drops what these erasures cover.

    Raises:
        StoreUnavailable: it may not; note them again.
    """
    _insert(store, ERASURES_TABLE, [erasure._asdict() for erasure in erasures])


def restore_erasures(store: EventStore, erased: Erased) -> None:
    """Fill both tables, in a database that is new, from what S3 knows.

    Raises:
        StoreUnavailable: a part may be missing; restore again.
    """
    ids: defaultdict[Erasure, list[bytes]] = defaultdict(list)
    for identifier, erasure in erased.ids():
        ids[erasure].append(identifier)
    note_erased_ids(store, ids)
    note_erasures(store, erased.users())


def _insert(store: EventStore, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        lines = b"\n".join(map(msgspec.json.encode, rows))
        store.insert_rows(table, lines, f"erased/{hashlib.sha256(lines).hexdigest()}")


def _erased_among(store: EventStore, records: Iterable[KafkaRecord]) -> dict[bytes, Erasure]:
    """Which events that the records change were erased."""
    named = {id_of(record.value) for record in records if is_change(record.value or b"")}
    changed = [identifier for identifier in named if identifier is not None]
    statements = [compile_erased_among(changed[at : at + IDS_MAX]) for at in range(0, len(changed), IDS_MAX)]
    return {
        UUID(row["id"]).bytes: Erasure(row["user_hash"], int(row["erased_us"]))
        for statement in statements
        for row in store.select(statement.sql, statement.parameters)
    }
