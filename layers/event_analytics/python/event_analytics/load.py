"""A Kafka batch -> what is inserted into ClickHouse, and what cannot be. Decides; `functions/load` acts.

A batch may hold events, changes of events, or both: a replay sends both through one topic.

The rows are the record values as they are: an event is encoded once, at ingest. That nothing counts twice rests on the
table's key (docs/decisions/0004).
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import chain
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


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """The row of an event, and what it says."""

    record: KafkaRecord
    line: bytes
    event: StoredEvent


class ChangeRow(msgspec.Struct, frozen=True, gc=False):
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


def plan_load(records: Iterable[KafkaRecord]) -> LoadPlan:
    """Rows and dead records of a batch, by partition and offset, so that a redelivery is planned alike."""
    events: list[EventRow] = []
    changes: list[ChangeRow] = []
    dead: list[DeadRecord] = []
    accepted_us = [0]
    for record in chain.from_iterable(run.records for run in runs_of(records)):
        try:
            value = _line_of(record)
            if is_change(value):
                change = decode_stored_change(value)
                changes.append(ChangeRow(record, value, change.id))
                accepted_us.append(change.version)
            else:
                event = decode_stored_event(value)
                events.append(EventRow(record, value, event))
                accepted_us.append(event.accepted_us)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            dead.append(DeadRecord(record, REASON_UNDECODABLE, str(error)))
    return LoadPlan(events, _embedding_rows(events), changes, dead, max(accepted_us))


def changed_ids(rows: Iterable[ChangeRow]) -> list[UUID]:
    """The ids that change rows are about, each once, in the order of arrival."""
    return list({row.event_id: None for row in rows})


def without(rows: list[AnyRow], dead: Iterable[DeadRecord]) -> list[AnyRow]:
    """The rows whose record is not among the dead."""
    dead_records = {one.record for one in dead}
    return [row for row in rows if row.record not in dead_records] if dead_records else rows


def _embedding_rows(rows: Iterable[EventRow]) -> list[LoadRow]:
    return [
        LoadRow(row.record, _embedding_row(row.event))
        for row in rows
        if row.event.input_embeddings or row.event.output_embeddings
    ]


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
