"""Send archived events to ClickHouse again: `python -m scripts.replay --start T --end T [filters] [--dry-run]`.

The window is about acceptance time, in RFC 3339, `--start` included and `--end` not, both exact to the millisecond.
With a filter the events of the window that match are sent, and all their changes whenever they were accepted. Events
travel over `events-replay`, so live traffic does not wait for them; sending any of them again changes nothing.

Ctrl-C stops after the records that are under way; the same command, or --resume ID, goes on from there.

Exit codes: 0 all sent; 1 not all, and why is said; 130 stopped.
"""

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event
from types import FrameType
from typing import Final

import msgspec

from event_analytics.archive_reading import survey
from event_analytics.erasure_index import ErasureIndex
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.replay_journal import ReplayJournal
from event_analytics.replay_run import Runner, RunResult, Stop
from event_analytics.replay_state import ReplayJob, ReplayState, Status, read_job
from scripts.failures import GaveUp, ScriptFailed
from scripts.places import add_place_options, failing_in_one_line, place_of
from scripts.replay_progress import show_replay

EVENTS_PER_SECOND_TYPICAL: Final = 25_000  # 28,000 to 31,000 of 1 kB measured on two cores that also ran the broker
EXIT_NOT_ALL: Final = 1
EXIT_STOPPED: Final = 130
CLIENT_ID: Final = "tallystream-replay"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if not given.resume and not (given.start and given.end):
        parser.error("--start and --end, or --resume ID")
    if given.bucket and not given.bootstrap and not given.dry_run:
        parser.error("--bucket needs --bootstrap")
    try:
        place = place_of(given)
        with failing_in_one_line(), place.objects() as objects, place.log(CLIENT_ID) as log:
            if given.dry_run:
                return rehearse(objects, log, _asked(given))
            return run_replay(objects, log, find_state(objects, given))
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code


def run_replay(objects: ObjectStore, log: EventLog, state: ReplayState) -> int:
    """Run a job to its end with a progress bar, print what was sent, return the exit code."""
    ahead = survey(objects, state)
    print(f"replay {state.job.replay_id}: up to {ahead.records:,} events in {ahead.objects:,} archived objects")
    started = time.monotonic()
    with _stopping() as stopping, show_replay("replaying", ahead.archived_bytes) as advance:
        runner = Runner(
            objects,
            log,
            time.time,
            sleep=stopping.wait,
            holder=mint_holder(),
            is_over=stopping.is_set,
            is_kept=ErasureIndex().read(objects).keeps,
            on_progress=advance,
        )
        result = runner.resume(state)
    print(describe(result, time.monotonic() - started))
    return exit_code_of(result)


def rehearse(objects: ObjectStore, log: EventLog, job: ReplayJob) -> int:
    """Read what a job would read, print what it would send and how long that would take; send and store nothing."""
    ahead = survey(objects, ReplayState(job, 0, 0))
    with show_replay("reading", ahead.archived_bytes) as advance:
        is_kept = ErasureIndex().read(objects).keeps
        runner = Runner(objects, log, time.time, time.sleep, mint_holder(), is_kept=is_kept, on_progress=advance)
        result = runner.rehearse(job)
    counts = result.state.counts
    events = counts.events_sent + counts.changes_sent
    seconds = events / min(job.rate or EVENTS_PER_SECOND_TYPICAL, EVENTS_PER_SECOND_TYPICAL)
    print(
        f"would send {counts.events_sent:,} events and {counts.changes_sent:,} changes, {counts.bytes_sent:,} bytes, "
        f"in about {seconds:,.0f} s; {counts.records_read:,} archived records were read"
    )
    print("".join(f"UNREADABLE {name}\n" for name in result.state.unreadable), end="")
    if result.state.failure:
        print(f"and would then fail: {result.state.failure}")
    return EXIT_NOT_ALL if result.state.unreadable or result.state.failure else 0


def find_state(objects: ObjectStore, given: argparse.Namespace) -> ReplayState:
    """The job to run: the one named, one that was asked for with the same words and stopped, or a new one.

    Raises:
        GaveUp: there is no replay of this id.
        Refused: the words are wrong.
    """
    journal = ReplayJournal(objects)
    if given.resume:
        found = journal.read(given.resume)
        if found is None:
            raise GaveUp(f"there is no replay {given.resume}")
        return _at_rate(found, given.rate)
    job = _asked(given)
    for state in journal.running(lambda damaged: print(damaged, file=sys.stderr)):
        if not state.job.is_scheduled and state.job.asks_for_the_same(job):
            print(f"continuing replay {state.job.replay_id}, which was stopped before its end")
            return _at_rate(state, given.rate)
    return journal.open(job, int(time.time() * 1_000))


def describe(result: RunResult, seconds: float) -> str:
    """Lines for a person: what was sent, and how to go on if that was not all."""
    sent, state = result.sent, result.state
    events = sent.get("events_sent", 0) + sent.get("changes_sent", 0)
    numbers = f"{sent.get('events_sent', 0):,} events and {sent.get('changes_sent', 0):,} changes sent"
    lines = [f"{numbers} in {seconds:,.1f} s, {events / max(seconds, 0.001):,.0f}/s"]
    if result.stop is Stop.HELD_ELSEWHERE:
        until = datetime.fromtimestamp(state.lease_until_ms / 1_000, UTC).isoformat(timespec="seconds")
        lines.append(f"another process runs replay {state.job.replay_id}, at least until {until}")
    elif result.stop is not None:
        lines.append(f"{result.stop}: go on with python -m scripts.replay --resume {state.job.replay_id}")
    elif state.status is Status.FAILED:
        lines.append(f"replay {state.job.replay_id} failed: {state.failure}")
    else:
        lines.append(f"replay {state.job.replay_id} is done")
    lines += [f"UNREADABLE {name}" for name in state.unreadable]
    return "\n".join(lines)


def exit_code_of(result: RunResult) -> int:
    """0 only when everything was sent."""
    if result.stop is Stop.TIME_OVER:
        return EXIT_STOPPED
    return 0 if result.state.status is Status.DONE and not result.state.unreadable else EXIT_NOT_ALL


def mint_holder() -> str:
    """A name that no other runner has."""
    return f"script-{secrets.token_hex(8)}"


def mint_replay_id() -> str:
    """A name by which people find the job: when it was asked for, and a few letters."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _asked(given: argparse.Namespace) -> ReplayJob:
    names = ("start", "end", "user_id", "conversation_id", "event_name", "rate")
    payload = {name: value for name in names if (value := getattr(given, name)) is not None}
    return read_job(payload, mint_replay_id(), is_scheduled=False)


def _at_rate(state: ReplayState, rate: int | None) -> ReplayState:
    return state.changed(job=msgspec.structs.replace(state.job, rate=rate)) if rate else state


@contextmanager
def _stopping() -> Iterator[Event]:
    """An event that the first Ctrl-C sets; a second one ends the process where it is."""
    stopping = Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.replay",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_options(parser, with_kafka=True)
    parser.add_argument("--start", help="accepted then or later: 2026-01-02T03:04:05.678Z")
    parser.add_argument("--end", help="accepted before")
    parser.add_argument("--user", dest="user_id", help="events of this user only, with all their changes")
    parser.add_argument("--conversation", dest="conversation_id", help="of this conversation only")
    parser.add_argument("--event-name", help="that were first sent under this name only")
    parser.add_argument("--rate", type=int, help="events a second at most")
    parser.add_argument("--dry-run", action="store_true", help="count, estimate, send nothing")
    parser.add_argument("--resume", metavar="ID", help="go on with a replay that was stopped, at the rate it had")
    return parser


if __name__ == "__main__":
    sys.exit(main())
