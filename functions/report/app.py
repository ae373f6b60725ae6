"""Schedule -> what must happen again and again: folding changes that waited, draining the spool, comparing the stores.

`{"jobs": ["fold_pending", "drain_spool"]}` runs the named jobs in that order. One that fails does not keep the others
from running; the invocation fails in the end, and the next minute tries again.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.adapters.secrets_manager import read_clickhouse_credentials
from event_analytics.errors import TallystreamError
from event_analytics.folding import fold_pending
from event_analytics.integrity_run import run_verify
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventLog, EventStore, ObjectStore
from event_analytics.settings import ObservabilitySettings, ReportSettings
from event_analytics.spool_drain import run_drain_spool

FOLD_SECONDS_MAX: Final = 45.0  # leaves room for the drain within the minute that the schedule promises


class JobsFailed(TallystreamError):  # noqa: N818 - names the outcome
    """One or more jobs of an invocation; all of them ran."""

    retriable = True


class JobUnknown(TallystreamError):  # noqa: N818 - as above
    """The payload names a job that there is not; nothing ran."""


@dataclass(frozen=True)
class Deps:
    """What the jobs need. `now`: Unix seconds."""

    store: EventStore
    spool: ObjectStore
    log: EventLog
    now: Callable[[], float]

    @classmethod
    def from_settings(cls, settings: ReportSettings) -> "Deps":
        """The real ones."""
        user, password = read_clickhouse_credentials(settings.clickhouse_secret_id)
        return cls(
            store=ClickHouseEventStore(settings.clickhouse_url, user, password),
            spool=S3ObjectStore(settings.archive_bucket),
            log=KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security, "tallystream-report"),
            now=time.time,
        )


def handle(payload: Mapping[str, Any], deps: Deps, line: InvocationLine) -> None:
    """Run the jobs that the payload names.

    Raises:
        JobUnknown: before any has run.
        JobsFailed: after all have.
    """
    names = list(payload.get("jobs", ()))
    if unknown := [name for name in names if name not in JOBS]:
        raise JobUnknown(f"there is no job {unknown[0]}")
    failed = []
    for name in names:
        try:
            JOBS[name](deps, line)
        except Exception as error:  # noqa: BLE001 - one job must not keep the others from running
            failed.append(f"{name}: {type(error).__name__}: {error}")
    if failed:
        raise JobsFailed("; ".join(failed))


def run_fold_pending(deps: Deps, line: InvocationLine) -> None:
    """Fold what is pending; counts pending_ids, folded_ids and expired_ids."""
    stop = deps.now() + FOLD_SECONDS_MAX
    report = fold_pending(deps.store, deps.now(), lambda: deps.now() < stop)
    line.count(pending_ids=report.looked_at, folded_ids=report.folded, expired_ids=len(report.expired))


def run_drain(deps: Deps, line: InvocationLine) -> None:
    """Publish what was spooled while Kafka was down."""
    run_drain_spool(deps.spool, deps.log, uuid.uuid4().hex, lambda: int(deps.now() * 1_000_000), line)


def run_integrity_check(deps: Deps, line: InvocationLine) -> None:
    """Compare archive and store for the last full hour; counts missing, extra and conflicting events."""
    run_verify(deps.store, deps.spool, line, deps.now())


JOBS: Final[Mapping[str, Callable[[Deps, InvocationLine], None]]] = {
    "fold_pending": run_fold_pending,
    "drain_spool": run_drain,
    "verify": run_integrity_check,
}


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(ReportSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "report")


def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda's entry point, invoked by a schedule."""
    with _telemetry().invocation(context) as line:
        handle(event, _deps(), line)
