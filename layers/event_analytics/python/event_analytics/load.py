"""A Kafka batch -> what is inserted into ClickHouse, and what cannot be. Decides; `functions/load` acts.

The rows are the record values as they are: an event is encoded once, at ingest. The insert token only saves work on a
plain redelivery; that nothing counts twice rests on the table's key (docs/decisions/0004).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from event_analytics.event import StoredEvent, decode_stored_event
from event_analytics.kafka_batch import KafkaRecord, digest_of, runs_of

_TOKEN_DIGEST_BYTES: Final = 16
EVENTS_TABLE: Final = "events"
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


class DeadRecord(NamedTuple):
    """A record that no retry will make loadable, and why."""

    record: KafkaRecord
    reason: str
    detail: str


class LoadPlan(NamedTuple):
    """What to do with one batch.

    `event_rows` and `embedding_rows`: newline-delimited JSON, b"" where there are none. `token`: insert deduplication
    token, the same for the same records. `newest_accepted_us`: acceptance time of the newest row, 0 without rows.
    """

    event_rows: bytes
    events: int
    embedding_rows: bytes
    token: str
    dead: list[DeadRecord]
    newest_accepted_us: int


def plan_load(records: Iterable[KafkaRecord], epoch: str) -> LoadPlan:
    """Rows, token and dead records of a batch. `epoch` tells apart two lives of a topic that restarted at offset 0."""
    runs = runs_of(records)
    rows: list[bytes] = []
    with_embeddings: list[bytes] = []
    dead: list[DeadRecord] = []
    newest_accepted_us = 0
    for record in (record for run in runs for record in run.records):
        try:
            event = _loadable(record)
        except (msgspec.MsgspecError, ValueError) as error:
            dead.append(DeadRecord(record, "record_undecodable", str(error)))
            continue
        value = record.value or b""
        rows.append(value)
        newest_accepted_us = max(newest_accepted_us, event.accepted_us)
        if event.input_embeddings or event.output_embeddings:
            with_embeddings.append(_embedding_row(event))
    token = "/".join(
        f"{epoch}/{run.topic}/{run.partition}/{run.first_offset}-{run.last_offset}/"
        f"{digest_of(run.records, _TOKEN_DIGEST_BYTES)}"
        for run in runs
    )
    return LoadPlan(b"\n".join(rows), len(rows), b"\n".join(with_embeddings), token, dead, newest_accepted_us)


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


def _loadable(record: KafkaRecord) -> StoredEvent:
    if record.value is None:
        raise ValueError("the record has no value")
    if b"\n" in record.value:
        raise ValueError("an encoded event is one line")
    return decode_stored_event(record.value)
