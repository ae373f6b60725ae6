"""Both sides of the integrity check for tests: records as the archive has them, a store that answers from rows."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from event_analytics.kafka_batch import KafkaRecord
from tests.builders import ACCEPTED_MS, a_record, ids_in
from tests.fakes import FakeEventStore

HOUR_MS = 3_600_000
START_MS = ACCEPTED_MS // HOUR_MS * HOUR_MS
START = datetime.fromtimestamp(START_MS / 1_000, tz=UTC)
HOUR = timedelta(hours=1)


def an_archived_event(offset: int, at_ms: int, **fields: Any) -> KafkaRecord:
    event = {
        "accepted_us": at_ms * 1_000, "id": str(UUID(int=offset)), "user_id": "u1", "conversation_id": "c1",
        "event_name": "e", "timestamp": "2026-09-21T14:13:20Z", **fields,
    }  # fmt: skip
    return a_record(offset, timestamp_ms=at_ms, value=json.dumps(event).encode())


def an_archived_change(offset: int, at_ms: int) -> KafkaRecord:
    change = {"change_id": str(UUID(int=1_000 + offset)), "id": str(UUID(int=offset)), "version": at_ms * 1_000}
    return a_record(offset, topic="event-changes", timestamp_ms=at_ms, value=json.dumps(change).encode())


class StoreOf(FakeEventStore):
    """Answers the check's questions from the rows it was given, as ClickHouse does."""

    def __init__(self, events: list[KafkaRecord], changes: list[KafkaRecord]) -> None:
        super().__init__()
        self.events = [json.loads(record.value or b"") for record in events]
        self.changes = [json.loads(record.value or b"") for record in changes]

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        is_changes = "FROM event_changes" in sql
        moment = "version" if is_changes else "accepted_us"
        rows = self.changes if is_changes else self.events
        self.asked.append((sql, parameters))
        if "ids" in parameters:
            found = [row for row in rows if row["id"] in ids_in(parameters)]
            return found if is_changes else [_as_stored(row) for row in found] if "is_deleted" in sql else []
        within = [row for row in rows if parameters["start_us"] <= row[moment] < parameters["end_us"]]
        return [{"number": len(within)}] if "number" in sql else within


def _as_stored(row: dict[str, Any]) -> dict[str, Any]:
    at_ms = round(datetime.fromisoformat(row["timestamp"]).timestamp() * 1_000)
    return {**row, "timestamp_ms": at_ms, "version": 1, "is_deleted": 0}
