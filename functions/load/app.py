"""Kafka batch -> ClickHouse. Returns once every record is a row or a dead letter; raises for the whole batch otherwise.

Lambda then delivers the same batch again, and whatever was inserted the first time counts once.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.adapters.secrets_manager import read_clickhouse_login
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.conflict_settling import settle_conflicts
from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.erasure_watch import ErasureWatch
from event_analytics.folding import fold_changes
from event_analytics.garbage import collect_rarely
from event_analytics.giving_up import give_up_refused
from event_analytics.hour_marks import hours_of, mark_hours
from event_analytics.isolation import insert_isolated
from event_analytics.kafka_batch import read_records
from event_analytics.load import (
    CHANGES_TABLE,
    EMBEDDINGS_COLUMNS,
    EMBEDDINGS_TABLE,
    EVENTS_TABLE,
    changed_ids,
    plan_load,
    without,
)
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventStore
from event_analytics.settings import LoadSettings, ObservabilitySettings
from event_analytics.tracing import read_traces


@dataclass(frozen=True)
class Deps:
    """What loading needs. `now_us`: Unix microseconds. `erasures`: what is known of them, kept between invocations."""

    store: EventStore
    dead_letters: DeadLetterWriter
    epoch: str
    now_us: Callable[[], int]
    erasures: ErasureWatch = field(default_factory=ErasureWatch)

    @classmethod
    def from_settings(cls, settings: LoadSettings) -> "Deps":
        """The real ones."""
        login = read_clickhouse_login(settings.clickhouse_secret_id)
        log = KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security, "tallystream-load")
        return cls(
            store=ClickHouseEventStore(
                settings.clickhouse_url, login.user, login.password, ca_certificate=login.ca_certificate
            ),
            dead_letters=DeadLetterWriter(S3ObjectStore(settings.archive_bucket), log),
            epoch=settings.stream_epoch,
            now_us=lambda: time.time_ns() // 1_000,
        )


def handle(event: Mapping[str, Any], deps: Deps, line: InvocationLine) -> None:
    """Load one batch.

    Raises:
        StoreUnavailable, LogUnavailable: nothing is acknowledged; the batch comes again.
    """
    if traces := read_traces(event):
        line.note(trace_ids=traces)
    records = read_records(event)
    screened = deps.erasures.screen(deps.store, records)
    plan = plan_load(screened.kept)
    started_us = deps.now_us()
    # Embeddings first: an event that is visible is complete. Changes last: one in the same batch finds its event.
    dead = insert_isolated(deps.store, EMBEDDINGS_TABLE, plan.embedding_rows, deps.epoch, EMBEDDINGS_COLUMNS)
    event_rows = without(plan.event_rows, dead)
    dead_events = insert_isolated(deps.store, EVENTS_TABLE, event_rows, deps.epoch)
    creates = [row.event for row in event_rows]
    mark_hours(deps.store, hours_of(creates))
    id_conflicts = settle_conflicts(deps.store, creates)
    dead_changes = insert_isolated(deps.store, CHANGES_TABLE, plan.change_rows, deps.epoch, CHANGE_COLUMNS)
    refused = fold_changes(deps.store, changed_ids(without(plan.change_rows, dead_changes)))
    dead += dead_events + dead_changes + plan.dead
    line.count(insert_ms=(deps.now_us() - started_us) / 1_000)
    now_ms = deps.now_us() // 1_000
    deps.dead_letters.write(dead, deps.epoch, now_ms)
    unfoldable = give_up_refused(deps.store, deps.dead_letters, refused, now_ms)
    line.count(
        records=len(records),
        erased_records=len(screened.hits),
        loaded_events=len(event_rows) - len(dead_events),
        loaded_changes=len(plan.change_rows) - len(dead_changes),
        dead_letters=len(dead) + unfoldable,
        id_conflicts=id_conflicts,
        needs_classification=sum(one.needs_classification for one in dead),
    )
    if plan.newest_accepted_us:
        line.count(freshness_ms=(deps.now_us() - plan.newest_accepted_us) // 1_000)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    collect_rarely()
    return Deps.from_settings(LoadSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "load")


def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda's entry point, behind a Kafka event source mapping."""
    with _telemetry().invocation(context) as line:
        handle(event, _deps(), line)
