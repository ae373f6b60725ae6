"""The running replay: archived objects -> records on `events-replay`, one object in memory at a time.

What is sent is decided in `replay`, where the job's steps are kept in `replay_journal`. A run ends when all is sent,
when its time is over or when Kafka does not take more; the next one continues at the last acknowledged record.
Sending anything twice changes nothing, so a runner that dies loses only time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from event_analytics.archive_reading import read_archive, remaining_passes
from event_analytics.errors import LogUnavailable, Refused
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.replay import Pass, Selection, passes_of, route_replayed
from event_analytics.replay_journal import LeaseLost, ReplayJournal, StateUnreadable
from event_analytics.replay_state import Counts, Position, ReplayJob, ReplayState, Status
from event_analytics.routing import EVENTS_TOPIC, Record

SEND_RECORDS_MAX: Final = 5_000  # in one append: larger gains little speed
SEND_BYTES_MAX: Final = 4_194_304  # acknowledged within the log's 5 s on any link that is worth a replay
SEND_ATTEMPTS: Final = 5
SEND_BACK_OFF_SECONDS: Final = 1.0  # doubled at each attempt: 15 s in all, then the next run tries
STEP_SECONDS: Final = 15.0  # what a runner that dies has sent in vain
STEP_IDS_MAX: Final = 50_000  # ids in one step's object: about 1 MB
RUNNER_STOPS_SECONDS: Final = 60.0  # before its deadline: more than one append with all its attempts but the last


class Stop(StrEnum):
    """Why a run ended before its job did."""

    TIME_OVER = "time_over"
    LOG_UNAVAILABLE = "log_unavailable"
    HELD_ELSEWHERE = "held_elsewhere"


class RunResult(NamedTuple):
    """The job's state after a run; `stop` is None when the job is finished. `sent`: counts of this run alone."""

    state: ReplayState
    stop: Stop | None
    sent: dict[str, int]


class Progress(NamedTuple):
    """How far a run has come: bytes of archived objects read, and records sent since the report before."""

    archived_bytes: int
    records_sent: int


@dataclass(frozen=True)
class Runner:
    """Who runs replays, and with what.

    `now`: Unix seconds. `is_over`: asked between two sends, True ends the run. `is_kept`: False for a record that must
    not come back, such as one of an erased user. `holder`: a name that no other runner has.
    """

    objects: ObjectStore
    log: EventLog
    now: Callable[[], float]
    sleep: Callable[[float], object]
    holder: str
    is_over: Callable[[], bool] = lambda: False
    is_kept: Callable[[KafkaRecord], bool] = lambda _record: True
    on_progress: Callable[[Progress], None] = lambda _progress: None

    def start(self, job: ReplayJob) -> RunResult:
        """Run a job from where it stands; one that is finished is left as it is.

        Raises:
            Refused: id_invalid: the id belongs to another replay.
        """
        return self.resume(ReplayJournal(self.objects).open(job, self._now_ms()))

    def resume(self, state: ReplayState) -> RunResult:
        """Take a job over, unless another runner has it, and run it.

        Raises:
            StateUnreadable: what a filtered job has collected is damaged.
        """
        if state.status is not Status.RUNNING:
            return RunResult(state, None, {})
        journal = ReplayJournal(self.objects)
        selection = Selection(state.job, journal.read_ids(state))  # before: a damaged job gets no step each time
        taken = journal.take(state, self.holder, self._now_ms())
        if taken is None:
            return RunResult(state, Stop.HELD_ELSEWHERE, {})
        run = _Run(self, taken, journal, selection)
        try:
            stop = run.advance()
        except LeaseLost:
            stop = Stop.HELD_ELSEWHERE
        return RunResult(run.state, stop, run.state.counts.since(state.counts))

    def rehearse(self, job: ReplayJob) -> RunResult:
        """Read and count what a job would send, and send and store nothing."""
        now_ms = self._now_ms()
        run = _Run(self, ReplayState(job, now_ms, now_ms), None, Selection(job))
        stop = run.advance()
        return RunResult(run.state, stop, run.state.counts.since(Counts()))

    def _now_ms(self) -> int:
        return int(self.now() * 1_000)


def resume_replays(
    objects: ObjectStore,
    log: EventLog,
    deadline: float,
    now: Callable[[], float],
    sleep: Callable[[float], object],
    *,
    holder: str,
    is_kept: Callable[[KafkaRecord], bool] = lambda _record: True,
    note_unreadable: Callable[[StateUnreadable], object] = lambda _error: None,
) -> list[RunResult]:
    """Continue the replays that wait, one after the other, until `deadline` (Unix seconds, as `now` tells them).

    `note_unreadable`: as `ReplayJournal.running`; a job with damaged objects keeps no other from going on.
    """
    runner = Runner(objects, log, now, sleep, holder, is_over=lambda: now() >= deadline, is_kept=is_kept)
    results = []
    for state in ReplayJournal(objects).running(note_unreadable):
        if runner.is_over():
            break
        if not state.job.is_scheduled:
            continue
        try:
            results.append(runner.resume(state))
        except StateUnreadable as error:
            note_unreadable(error)
    return results


class _TimeOver(Exception):  # noqa: N818 - unwinds to `advance`, and no further
    pass


@dataclass
class _Chunk:
    """Records read and not yet sent. `reached`: from where to continue once they are acknowledged."""

    reached: Position
    records: list[Record] = field(default_factory=list)
    bytes: int = 0
    read: int = 0
    repeated: int = 0
    without_value: int = 0


class _Run:
    """One run of one job. Without a journal nothing is sent and nothing stored."""

    def __init__(self, runner: Runner, state: ReplayState, journal: ReplayJournal | None, selection: Selection) -> None:
        self.state = state
        self._runner = runner
        self._journal = journal
        self._selection = selection
        self._chunk = _Chunk(state.position)
        self._archived_bytes = 0
        self._started = self._step_at = runner.now()
        self._sent = 0
        rate = state.job.rate
        self._chunk_records = min(SEND_RECORDS_MAX, rate) if rate else SEND_RECORDS_MAX  # a second's worth at most

    def advance(self) -> Stop | None:
        """Go on until the job is finished, which is None, or the run has to stop."""
        try:
            for start, one_pass in remaining_passes(self.state):
                self._run_pass(start, one_pass)
            self._flush()
        except _TimeOver:
            return self._pause(Stop.TIME_OVER)
        except LogUnavailable:
            self._chunk = _Chunk(self.state.position)  # what was not acknowledged is read again
            return self._pause(Stop.LOG_UNAVAILABLE)
        except Refused as refused:
            self._finish(Status.FAILED, refused.message)
        else:
            self._finish(Status.DONE)
        return None

    def _run_pass(self, start: Position, one_pass: Pass) -> None:
        if self.state.position.pass_index != start.pass_index:
            self._flush()
            self._chunk = _Chunk(start)
        for batch in read_archive(self._runner.objects, one_pass, start):
            if not batch.is_readable and batch.archived.name not in self.state.unreadable:
                self.state = self.state.changed(unreadable=(*self.state.unreadable, batch.archived.name))
            self._chunk.repeated += batch.repeated
            self._archived_bytes += batch.archived.size
            for record in batch.records:
                self._take(record, one_pass, Position(start.pass_index, batch.folder, record.offset + 1))
            if batch.was_read:  # so that a run, however short, gets on
                self._keep_time()

    def _take(self, record: KafkaRecord, one_pass: Pass, reached: Position) -> None:
        chunk = self._chunk
        chunk.read += 1
        chunk.reached = reached
        if not self._selection.takes(record, one_pass) or not self._runner.is_kept(record):
            return
        routed = route_replayed(record)
        if routed is None:
            chunk.without_value += 1
            return
        chunk.records.append(routed)
        chunk.bytes += len(routed.value)
        if len(chunk.records) >= self._chunk_records or chunk.bytes >= SEND_BYTES_MAX:
            self._flush()
            self._keep_time()

    def _flush(self) -> None:
        """Send what was read; only then does the state move on."""
        chunk = self._chunk
        if chunk.records and self._journal is not None:
            self._send(chunk.records)
        topic = passes_of(self.state.job)[chunk.reached.pass_index].topic
        sent_as = "events_sent" if topic == EVENTS_TOPIC else "changes_sent"
        counts = self.state.counts.plus(
            **{sent_as: len(chunk.records)},
            bytes_sent=chunk.bytes,
            records_read=chunk.read,
            repeated_records=chunk.repeated,
            records_without_value=chunk.without_value,
        )
        self.state = self.state.changed(counts=counts, position=chunk.reached)
        self._chunk = _Chunk(chunk.reached)
        self._sent += len(chunk.records)
        self._runner.on_progress(Progress(self._archived_bytes, len(chunk.records)))
        self._archived_bytes = 0

    def _send(self, records: Sequence[Record]) -> None:
        """Append all; from the first that is not acknowledged on, all again, so that order per key is kept.

        Raises:
            LogUnavailable: Kafka did not take them in all attempts.
        """
        left = records
        for attempt in range(SEND_ATTEMPTS):
            if attempt and self._runner.is_over():
                break
            if attempt:
                self._runner.sleep(SEND_BACK_OFF_SECONDS * 2 ** (attempt - 1))
            try:
                acknowledged = self._runner.log.append(left)
            except LogUnavailable:
                continue
            if all(acknowledged):
                return
            left = left[acknowledged.index(False) :]
        raise LogUnavailable(f"{len(left)} records were not acknowledged")

    def _keep_time(self) -> None:
        """Hold the rate, write a step when one is due, end when the time is over."""
        now = self._runner.now()
        rate = self.state.job.rate
        if rate and self._journal is not None and self._sent:
            ahead_seconds = self._started + self._sent / rate - now
            if ahead_seconds > 0:
                self._runner.sleep(ahead_seconds)
        if self._runner.is_over():
            self._flush()
            raise _TimeOver
        if now - self._step_at >= STEP_SECONDS or len(self._selection.fresh_ids) >= STEP_IDS_MAX:
            self._flush()
            self._write_step()

    def _write_step(self, *, releases: bool = False) -> None:
        self._step_at = self._runner.now()
        if self._journal is not None:
            fresh = b"".join(self._selection.fresh_ids)
            state = self.state.changed(fresh_ids=fresh)
            self.state = self._journal.write(state, int(self._step_at * 1_000), releases=releases)
        self._selection.fresh_ids.clear()

    def _pause(self, stop: Stop) -> Stop:
        self._write_step(releases=True)
        return stop

    def _finish(self, status: Status, failure: str = "") -> None:
        now_ms = int(self._runner.now() * 1_000)
        self.state = self.state.changed(status=status, failure=failure)
        if self._journal is not None:
            self.state = self._journal.finish(self.state, now_ms)
