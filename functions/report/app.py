"""Schedule -> what must happen again and again: folding changes that waited, draining the spool, writing summaries.

`{"jobs": ["fold_pending", "drain_spool"]}` runs the named jobs in that order. One that fails does not keep the others
from running; the invocation fails in the end, and the next minute tries again.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.kafka_topic_offsets import KafkaTopicOffsets
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.adapters.secrets_manager import read_clickhouse_login
from event_analytics.adapters.sns_notices import SnsNotices
from event_analytics.consumer_lag import measure_lag
from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.erasure import Carried
from event_analytics.erasure_index import ErasureIndex
from event_analytics.erasure_journal import RunTaken
from event_analytics.erasure_run import Eraser
from event_analytics.erasure_state import Step
from event_analytics.erasure_watch import created_ids, note_erased_ids
from event_analytics.errors import LogUnavailable, StoreUnavailable, TallystreamError
from event_analytics.folding import fold_pending
from event_analytics.giving_up import give_up_expired, give_up_refused
from event_analytics.integrity_job import Sides, Verifier
from event_analytics.kept_lag import keep_lag
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import ErasableStore, EventLog, EventStore, Notices, TopicOffsets
from event_analytics.questions.query import Select
from event_analytics.rollup_building import build_rollups, mend_rollups
from event_analytics.settings import ObservabilitySettings, ReportSettings
from event_analytics.spool_drain import run_drain_spool
from event_analytics.summary import Period, summarize, window_before
from event_analytics.summary_files import describe_summary, keep_files

FOLD_SECONDS_MAX: Final = 35.0  # leaves room for the next and the drain within the minute that the schedule promises
GIVE_UP_SECONDS_MAX: Final = 10.0  # a share of its own: however much there is to fold, what waited too long goes
SUMMARY_SECONDS_MAX: Final = 120.0  # of one question: nobody waits, and a week has seven days
ERASE_SECONDS_MAX: Final = 25.0  # likewise; an erasure that needs longer goes on in the next minute
VERIFY_SECONDS_MAX: Final = 25.0  # likewise: while it runs, the other jobs of the minute wait


class JobsFailed(TallystreamError):  # noqa: N818 - names the outcome
    """One or more jobs of an invocation; all of them ran."""

    retriable = True


class JobUnknown(TallystreamError):  # noqa: N818 - as above
    """The payload names a job that there is not; nothing ran."""


@dataclass(frozen=True)
class Deps:
    """What the jobs need. `now`: Unix seconds. `settle_seconds`: the longest that an invocation of load can last.

    `erasures`, `verifier`: what they know is kept between invocations.
    """

    store: EventStore
    spool: ErasableStore
    log: EventLog
    now: Callable[[], float]
    offsets: TopicOffsets
    settle_seconds: float
    erasures: ErasureIndex = field(default_factory=ErasureIndex)
    verifier: Verifier = field(default_factory=Verifier)
    notices: Notices | None = None
    event_retention_days: int = 0

    @classmethod
    def from_settings(cls, settings: ReportSettings) -> "Deps":
        """The real ones."""
        login = read_clickhouse_login(settings.clickhouse_secret_id)
        return cls(
            store=ClickHouseEventStore(
                settings.clickhouse_url, login.user, login.password, ca_certificate=login.ca_certificate
            ),
            spool=S3ObjectStore(settings.archive_bucket),
            log=KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security, "tallystream-report"),
            now=time.time,
            offsets=KafkaTopicOffsets(settings.kafka_bootstrap, settings.kafka_security, "tallystream-report"),
            settle_seconds=float(settings.erasure_settle_seconds),
            notices=SnsNotices(settings.report_topic_arn) if settings.report_topic_arn else None,
            event_retention_days=int(settings.event_retention_days),
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
    """Fold what is pending, and give up what never will be; counts pending_ids, folded_ids and dead_letters."""
    started = deps.now()
    letters = DeadLetterWriter(deps.spool, deps.log)

    def is_time_left(since: float, seconds_max: float) -> bool:
        return deps.now() < since + seconds_max

    report = fold_pending(deps.store, started, partial(is_time_left, started, FOLD_SECONDS_MAX))
    refused = give_up_refused(deps.store, letters, report.refused, int(started * 1_000))
    may_go_on = partial(is_time_left, deps.now(), GIVE_UP_SECONDS_MAX)
    expired = give_up_expired(deps.store, letters, started, may_go_on)
    line.count(pending_ids=report.looked_at, folded_ids=report.folded, dead_letters=refused + expired)


def run_drain(deps: Deps, line: InvocationLine) -> None:
    """Publish what was spooled while Kafka was down and was not erased since."""
    erased = deps.erasures.read(deps.spool)
    failure: StoreUnavailable | None = None

    def keep(record: Carried) -> bool:
        nonlocal failure
        hit = erased.find(record)
        if hit is None:
            return True
        if failure is not None:  # one time-out is enough: each record would wait for its own
            raise failure
        try:
            note_erased_ids(deps.store, created_ids([hit]))
        except StoreUnavailable as error:
            failure = error
            raise
        return False

    run_drain_spool(deps.spool, deps.log, uuid.uuid4().hex, lambda: int(deps.now() * 1_000_000), line, keep=keep)


def run_measure_lag(deps: Deps, line: InvocationLine) -> None:
    """Count and keep the records that load and archive have not taken; nothing is while the brokers do not say."""
    try:
        lags = measure_lag(deps.offsets)
    except LogUnavailable as error:
        line.note(lag_unknown=str(error))
        return
    line.count(load_lag_records=lags.load, archive_lag_records=lags.archive)
    keep_lag(deps.spool, lags, int(deps.now() * 1_000))


def run_integrity_check(deps: Deps, line: InvocationLine) -> None:
    """Go on comparing archive and store, hour by hour; counts missing, extra and conflicting events."""
    started = deps.now()
    sides = Sides(deps.store, deps.spool, deps.erasures, deps.event_retention_days)
    deps.verifier.run(sides, line, started, is_over=lambda: deps.now() >= started + VERIFY_SECONDS_MAX)


def run_erase(deps: Deps, line: InvocationLine) -> None:
    """Go on erasing users, unless another is at it; what waits for something goes on in the next minute."""
    stop = deps.now() + ERASE_SECONDS_MAX
    eraser = Eraser(
        deps.store, deps.spool, deps.log, deps.offsets, deps.erasures, deps.now, time.sleep, deps.settle_seconds
    )
    try:
        runs = eraser.run(is_over=lambda: deps.now() >= stop)
    except RunTaken as taken:
        line.note(erasure_taken=str(taken))
        return
    line.note(erasure_steps=[f"{run.run_id}: {run.step}, round {run.round}" for run in runs])
    started = min((run.started_ms / 1_000 for run in runs if run.step is not Step.FINISH), default=deps.now())
    line.count(erasure_age_seconds=deps.now() - started, unreadable_objects=sum(len(run.unreadable) for run in runs))


def run_build_rollups(deps: Deps, line: InvocationLine) -> None:
    """Count closed hours that were written to; counts counted_hours and cleared_counts."""
    report = build_rollups(deps.store, deps.now, uuid.uuid4)
    line.count(counted_hours=report.counted, cleared_counts=report.cleared)


def run_mend_rollups(deps: Deps, _line: InvocationLine) -> None:
    """Have hours counted again whose counts are damaged."""
    mend_rollups(deps.store)


def run_summary(period: Period, deps: Deps, line: InvocationLine) -> None:
    """Keep the summary of the last whole day or week, and tell of it."""
    window = window_before(period, datetime.fromtimestamp(deps.now(), UTC))
    select = Select(lambda query: deps.store.ask(query.sql, query.parameters, SUMMARY_SECONDS_MAX))
    summary = summarize(period, window, select)
    names = keep_files(deps.spool, summary)
    if deps.notices is not None:
        deps.notices.publish(*describe_summary(summary, names))
    line.note(report=names[-1])
    line.count(report_files=len(names))


JOBS: Final[Mapping[str, Callable[[Deps, InvocationLine], None]]] = {
    "fold_pending": run_fold_pending,
    "drain_spool": run_drain,
    "measure_lag": run_measure_lag,
    "erase": run_erase,
    "build_rollups": run_build_rollups,
    "report_daily": partial(run_summary, Period.DAILY),
    "report_weekly": partial(run_summary, Period.WEEKLY),
    "verify": run_integrity_check,
    "mend_rollups": run_mend_rollups,
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
