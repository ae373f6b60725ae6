"""Fill an empty ClickHouse from the archive: `python -m scripts.rebuild [--force] [--rate N]`.

Creates the tables by the migrations, notes in them who was erased, sends everything that was ever accepted over
`events-replay`, waits until `load` has taken all of it, folds what is pending, prints rows and time. Live traffic may
go on meanwhile. Refuses a ClickHouse that has events unless --force is given; even then nothing counts twice. On AWS
begin it no sooner than ArchiveWindowSeconds after the last event that only the old tables had: by then the archive has
it.

Ctrl-C stops after the records that are under way; the same command with --force goes on from there.

Exit codes: 0 all is loaded; 1 not all, and why is said; 2 there are events already; 130 stopped.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.adapters.kafka_topic_offsets import KafkaTopicOffsets
from event_analytics.erasure_index import ErasureIndex
from event_analytics.erasure_run import CONSUMERS
from event_analytics.erasure_watch import restore_erasures
from event_analytics.errors import LogUnavailable
from event_analytics.folding import fold_pending
from event_analytics.ports import TopicOffsets
from event_analytics.replay_journal import ReplayJournal
from event_analytics.replay_state import ReplayJob, ReplayState
from event_analytics.routing import EVENTS_REPLAY_TOPIC
from local_runtime.lag import wait_until_drained
from scripts.failures import GaveUp, ScriptFailed
from scripts.migrate import MIGRATIONS
from scripts.places import Place, add_place_options, failing_in_one_line, place_of
from scripts.replay import CLIENT_ID, mint_replay_id, run_replay

EXIT_NOT_EMPTY: Final = 2
(LOAD_REPLAY_GROUP,) = (group for group, topic in CONSUMERS if topic == EVENTS_REPLAY_TOPIC)
POLL_SECONDS: Final = 1.0  # each look opens a connection to the brokers
STUCK_SECONDS: Final = 120.0  # lag that does not move for so long will not move by waiting


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.bucket and not (given.bootstrap and given.clickhouse_url):
        parser.error("--bucket needs --bootstrap and --clickhouse-url")
    try:
        with failing_in_one_line():
            return rebuild(place_of(given), given.rate, is_forced=given.force)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code


def rebuild(place: Place, rate: int | None = None, *, is_forced: bool = False) -> int:
    """Rebuild one deployment's tables; the exit code."""
    started = time.monotonic()
    store = place.store()
    apply_pending(store, MIGRATIONS, lambda name: print(f"migration {name} is applied"))
    before = count_rows(store)
    if before and not is_forced:
        print(f"ClickHouse has {before:,} rows of events already: --force replays into them", file=sys.stderr)
        return EXIT_NOT_EMPTY
    if place.trigger_status_url and wait_until_drained(place.trigger_status_url):
        print("the archive has not got all that is in Kafka: what it gets later is not in this rebuild")
    with place.objects() as objects, place.log(CLIENT_ID) as log:
        restore_erasures(store, ErasureIndex().read(objects))
        exit_code = run_replay(objects, log, _whole_archive(ReplayJournal(objects), rate))
    if exit_code:
        return exit_code
    offsets = KafkaTopicOffsets(place.bootstrap, place.security, CLIENT_ID)
    ends = offsets.ends(EVENTS_REPLAY_TOPIC)
    wait_until_loaded(lambda: left_to_load(offsets, ends))
    fold_pending(store, time.time(), lambda: True)
    events = int(store.select("SELECT count() AS events FROM events FINAL", {})[0]["events"])
    print(f"{count_rows(store):,} rows, {events:,} events, rebuilt in {time.monotonic() - started:,.1f} s")
    return 0


def _whole_archive(journal: ReplayJournal, rate: int | None) -> ReplayState:
    """An unfinished rebuild, or a new one of everything accepted until now."""
    for state in journal.running(lambda damaged: print(damaged, file=sys.stderr)):
        if state.job.start_ms == 0 and not state.job.is_filtered and not state.job.is_scheduled:
            print(f"continuing replay {state.job.replay_id}, which was stopped before its end")
            return state
    now = datetime.now(UTC) + timedelta(minutes=1)  # clocks of those who accept may be ahead of this one
    job = ReplayJob(mint_replay_id(), 0, int(now.timestamp() * 1_000), rate=rate, is_scheduled=False)
    return journal.open(job, int(time.time() * 1_000))


def count_rows(store: ClickHouseEventStore) -> int:
    """Rows of `events`, every version of each."""
    return int(store.select("SELECT count() AS rows FROM events", {})[0]["rows"])


def left_to_load(offsets: TopicOffsets, ends: Mapping[int, int]) -> int | None:
    """Records before `ends` of the replay's partitions that load has not taken; None: the brokers do not say.

    A partition that began anew is never past its end of before, as what it had is lost.
    """
    try:
        reached = offsets.reached(LOAD_REPLAY_GROUP, EVENTS_REPLAY_TOPIC)
    except LogUnavailable:  # for a moment, or for good: whoever waits gives up in time
        return None
    return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())


def wait_until_loaded(
    read_left: Callable[[], int | None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Return once nothing is left to load: what load commits is in ClickHouse, or a dead letter.

    Raises:
        GaveUp: something is left and has not become less for long.
    """
    seen: int | None = None
    moved_at = now()
    while (left := read_left()) != 0:
        if left is not None and left != seen:
            seen, moved_at = left, now()
        if now() - moved_at >= STUCK_SECONDS:
            number = "an unknown number of" if seen is None else f"{seen:,}"
            raise GaveUp(f"{number} records are not loaded and it does not go on: the lines of load say why")
        sleep(POLL_SECONDS)


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.rebuild",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_options(parser, with_kafka=True, with_store=True)
    parser.add_argument("--force", action="store_true", help="also into a ClickHouse that has events")
    parser.add_argument("--rate", type=int, help="events a second at most")
    return parser


if __name__ == "__main__":
    sys.exit(main())
