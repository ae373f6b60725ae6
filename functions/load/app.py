"""Kafka batch -> ClickHouse. Returns once every record is a row or a dead letter; raises for the whole batch otherwise.

Lambda then delivers the same batch again, and whatever was inserted the first time counts once.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.adapters.secrets_manager import read_clickhouse_credentials
from event_analytics.dead_letters import dead_letter_of
from event_analytics.kafka_batch import read_records
from event_analytics.load import EMBEDDINGS_COLUMNS, EMBEDDINGS_TABLE, EVENTS_TABLE, plan_load
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventStore, ObjectStore
from event_analytics.settings import LoadSettings, ObservabilitySettings


@dataclass(frozen=True)
class Deps:
    """What loading needs. `now_us`: Unix microseconds."""

    store: EventStore
    dead_letters: ObjectStore
    epoch: str
    now_us: Callable[[], int]

    @classmethod
    def from_settings(cls, settings: LoadSettings) -> "Deps":
        """The real ones."""
        user, password = read_clickhouse_credentials(settings.clickhouse_secret_id)
        return cls(
            store=ClickHouseEventStore(settings.clickhouse_url, user, password),
            dead_letters=S3ObjectStore(settings.archive_bucket),
            epoch=settings.stream_epoch,
            now_us=lambda: time.time_ns() // 1_000,
        )


def handle(event: Mapping[str, Any], deps: Deps, line: InvocationLine) -> None:
    """Load one batch.

    Raises:
        StoreUnavailable: nothing is acknowledged; the batch comes again.
    """
    records = read_records(event)
    plan = plan_load(records, deps.epoch)
    for dead in plan.dead:
        letter = dead_letter_of(dead, deps.epoch)
        deps.dead_letters.put_new(letter.name, letter.body)
    if plan.embedding_rows:  # first: an event that is visible is complete
        deps.store.insert_rows(EMBEDDINGS_TABLE, plan.embedding_rows, plan.token, EMBEDDINGS_COLUMNS)
    if plan.event_rows:
        deps.store.insert_rows(EVENTS_TABLE, plan.event_rows, plan.token)
    line.count(records=len(records), loaded_events=plan.events, dead_letters=len(plan.dead))
    if plan.newest_accepted_us:
        line.note(freshness_ms=(deps.now_us() - plan.newest_accepted_us) // 1_000)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(LoadSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "load")


def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda's entry point, behind a Kafka event source mapping."""
    with _telemetry().invocation(context) as line:
        handle(event, _deps(), line)
