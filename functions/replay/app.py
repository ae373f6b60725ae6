"""S3 window -> Kafka. Runs a replay job until it is done or a minute before this invocation's time is over.

`{"start", "end", "replay_id"?, "user_id"?, "conversation_id"?, "event_name"?, "rate"?}` starts the job or continues it;
`{"jobs": ["resume_replays"]}` continues those that wait, as a schedule does. It never invokes itself: Lambda ends that
as recursion. https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.erasure_index import ErasureIndex
from event_analytics.errors import Reason, Refused
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.replay_journal import StateUnreadable
from event_analytics.replay_run import RUNNER_STOPS_SECONDS, Runner, RunResult, resume_replays
from event_analytics.replay_state import read_job
from event_analytics.settings import ObservabilitySettings, ReplaySettings

RESUME_JOB: Final = "resume_replays"


@dataclass(frozen=True)
class Deps:
    """What replaying needs. `now`: Unix seconds."""

    objects: ObjectStore
    log: EventLog
    now: Callable[[], float]
    sleep: Callable[[float], None]

    @classmethod
    def from_settings(cls, settings: ReplaySettings) -> "Deps":
        """The real ones."""
        return cls(
            objects=S3ObjectStore(settings.archive_bucket),
            log=KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security, "tallystream-replay"),
            now=time.time,
            sleep=time.sleep,
        )


def handle(
    payload: Mapping[str, Any], deps: Deps, line: InvocationLine, request_id: str, remaining_seconds: float
) -> dict[str, Any]:
    """What became of the job or jobs: `replays: [{replay_id, status, stop, ...}]`, or `error` for one refused.

    `request_id`: names the job if the payload does not, so that a repeated invocation continues it.
    """
    deadline = deps.now() + remaining_seconds - RUNNER_STOPS_SECONDS
    unreadable: list[StateUnreadable] = []
    try:
        results = _run(payload, deps, request_id, deadline, unreadable)
    except Refused as refused:
        line.note(reason=str(refused.reason))
        return {"error": {"reason": refused.reason, "message": refused.message, "field": refused.field}}
    line.note(replays=[result.state.job.replay_id for result in results])
    if unreadable:
        line.note(unreadable_replays=list(map(str, unreadable)))
        line.count(unreadable_objects=len(unreadable))
    for result in results:
        line.count(
            replayed_events=result.sent.get("events_sent", 0),
            replayed_changes=result.sent.get("changes_sent", 0),
            unreadable_objects=len(result.state.unreadable),
        )
    return {"replays": [_describe(result) for result in results]}


def _run(
    payload: Mapping[str, Any], deps: Deps, request_id: str, deadline: float, unreadable: list[StateUnreadable]
) -> list[RunResult]:
    is_kept = ErasureIndex().read(deps.objects).keeps  # spares Kafka a copy; loading drops what was erased anyway
    if "jobs" in payload:
        for name in payload["jobs"]:
            if name != RESUME_JOB:
                raise Refused(Reason.PARAMETER_UNKNOWN, f"there is no job {name}", "jobs")
        if not payload["jobs"]:
            return []
        return resume_replays(
            deps.objects,
            deps.log,
            deadline,
            deps.now,
            deps.sleep,
            holder=request_id,
            is_kept=is_kept,
            note_unreadable=unreadable.append,
        )
    runner = Runner(
        deps.objects, deps.log, deps.now, deps.sleep, request_id, lambda: deps.now() >= deadline, is_kept=is_kept
    )
    return [runner.start(read_job(payload, request_id))]


def _describe(result: RunResult) -> dict[str, Any]:
    state = result.state
    return {
        "replay_id": state.job.replay_id,
        "status": state.status,
        "stop": result.stop,
        "events_sent": state.counts.events_sent,
        "changes_sent": state.counts.changes_sent,
        "records_read": state.counts.records_read,
        "unreadable": list(state.unreadable),
        "failure": state.failure,
    }


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(ReplaySettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "replay")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry point, invoked directly or by a schedule."""
    with _telemetry().invocation(context) as line:
        remaining_seconds = context.get_remaining_time_in_millis() / 1_000
        return handle(event, _deps(), line, context.aws_request_id, remaining_seconds)
