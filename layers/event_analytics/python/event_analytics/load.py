"""A Kafka batch -> what is inserted into ClickHouse, and what cannot be. Decides; `functions/load` acts.

A batch may hold events, changes of events, or both: a replay sends both through one topic.

The rows are the record values as they are: an event is encoded once, at ingest. That nothing counts twice rests on the
table's key (docs/decisions/0004).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from event_analytics.change import decode_stored_change, is_change
from event_analytics.dead_letters import REASON_UNDECODABLE, DeadRecord
from event_analytics.event import StoredEvent, decode_stored_event
from event_analytics.isolation import LoadRow, Row
from event_analytics.kafka_batch import KafkaRecord, runs_of

EVENTS_TABLE: Final = "events"
CHANGES_TABLE: Final = "event_changes"
EMBEDDINGS_TABLE: Final = "event_embeddings"


class EmbeddingRow(msgspec.Struct, omit_defaults=True):
    """A row of `event_embeddings` as it is inserted; the table turns base64 into float32."""

    id: UUID
    conversation_id: str
    timestamp: datetime
    accepted_us: int
    input_embeddings_base64: str = ""
    output_embeddings_base64: str = ""


EMBEDDINGS_COLUMNS: Final = EmbeddingRow.__struct_fields__  # an ephemeral column is filled only if it is named
_encoder = msgspec.json.Encoder()


class EventRow(NamedTuple):
    """The row of an event, and what it says."""

    record: KafkaRecord
    line: bytes
    event: StoredEvent


class ChangeRow(NamedTuple):
    """The row of a change, and the event that it is about."""

    record: KafkaRecord
    line: bytes
    event_id: UUID


AnyRow = TypeVar("AnyRow", bound=Row)


class LoadPlan(NamedTuple):
    """What to do with one batch: rows per table, each with the record it was made of, and what can be no row.

    `newest_accepted_us`: acceptance time of the newest row, 0 without rows.
    """

    event_rows: list[EventRow]
    embedding_rows: list[LoadRow]
    change_rows: list[ChangeRow]
    dead: list[DeadRecord]
    newest_accepted_us: int


class _Rows:
    """Rows of a batch as they are found."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.embeddings: list[LoadRow] = []
        self.changes: list[ChangeRow] = []
        self.dead: list[DeadRecord] = []
        self.newest_accepted_us = 0

    def add(self, record: KafkaRecord) -> None:
        try:
            value = _line_of(record)
            if is_change(value):
                self._add_change(record, value)
            else:
                self._add_event(record, value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self.dead.append(DeadRecord(record, REASON_UNDECODABLE, str(error)))

    def _add_event(self, record: KafkaRecord, value: bytes) -> None:
        event = decode_stored_event(value)
        self.events.append(EventRow(record, value, event))
        self.newest_accepted_us = max(self.newest_accepted_us, event.accepted_us)
        if event.input_embeddings or event.output_embeddings:
            self.embeddings.append(LoadRow(record, _embedding_row(event)))

    def _add_change(self, record: KafkaRecord, value: bytes) -> None:
        change = decode_stored_change(value)
        self.changes.append(ChangeRow(record, value, change.id))
        self.newest_accepted_us = max(self.newest_accepted_us, change.version)


def plan_load(records: Iterable[KafkaRecord]) -> LoadPlan:
    """Rows and dead records of a batch, by partition and offset, so that a redelivery is planned alike."""
    rows = _Rows()
    for run in runs_of(records):
        for record in run.records:
            rows.add(record)
    return LoadPlan(rows.events, rows.embeddings, rows.changes, rows.dead, rows.newest_accepted_us)


def changed_ids(rows: Iterable[ChangeRow]) -> list[UUID]:
    """The ids that change rows are about, each once, in the order of arrival."""
    return list({row.event_id: None for row in rows})


def without(rows: list[AnyRow], dead: Iterable[DeadRecord]) -> list[AnyRow]:
    """The rows whose record is not among the dead."""
    dead_records = {one.record for one in dead}
    return [row for row in rows if row.record not in dead_records] if dead_records else rows


def _embedding_row(event: StoredEvent) -> bytes:
    return _encoder.encode(
        EmbeddingRow(
            event.id,
            event.conversation_id,
            event.timestamp,
            event.accepted_us,
            event.input_embeddings or "",
            event.output_embeddings or "",
        )
    )


def _line_of(record: KafkaRecord) -> bytes:
    if record.value is None:
        raise ValueError("the record has no value")
    if b"\n" in record.value:
        raise ValueError("an encoded event is one line")
    return record.value
