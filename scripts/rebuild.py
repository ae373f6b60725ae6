"""Fill an empty ClickHouse from the archive: `python -m scripts.rebuild [--force] [--rate N]`.

Creates the tables by the migrations, notes in them who was erased, sends everything that was ever accepted over
`events-replay`, waits until `load` has taken it, folds what is pending, prints rows and time. Live traffic may go on
meanwhile. Refuses a ClickHouse that has events unless --force is given; even then nothing counts twice. On AWS begin it
no sooner than ArchiveWindowSeconds after the last event that only the old tables had: by then the archive has it.

Ctrl-C stops after the records that are under way; the same command with --force goes on from there.

Exit codes: 0 all is loaded; 1 not all, and why is said; 2 there are events already; 130 stopped.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from event_analytics.erasure_index import ErasureIndex
from event_analytics.erasure_watch import restore_erasures
from event_analytics.folding import fold_pending
from event_analytics.replay_journal import ReplayJournal
from event_analytics.replay_state import ReplayJob, ReplayState
from local_runtime.lag import read_lag, wait_until_drained
from scripts.failures import GaveUp, ScriptFailed
from scripts.migrate import MIGRATIONS
from scripts.places import Place, add_place_options, failing_in_one_line, place_of
from scripts.replay import CLIENT_ID, mint_replay_id, run_replay

EXIT_NOT_EMPTY: Final = 2
POLL_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 5.0  # as long without lag and without another row: batches of the trigger wait at most 1 s
QUIET_SECONDS_UNSEEN: Final = 60.0  # where nobody tells the lag, rows alone have to tell
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
    wait_until_loaded(
        lambda: count_rows(store), lambda: left_to_load(place), is_lag_told=bool(place.trigger_status_url)
    )
    fold_pending(store, time.time(), lambda: True)
    events = int(store.select("SELECT count() AS events FROM events FINAL", {})[0]["events"])
    print(f"{count_rows(store):,} rows, {events:,} events, rebuilt in {time.monotonic() - started:,.1f} s")
    return 0


def _whole_archive(journal: ReplayJournal, rate: int | None) -> ReplayState:
    """An unfinished rebuild, or a new one of everything accepted until now."""
    for state in journal.running():
        if state.job.start_ms == 0 and not state.job.is_filtered and not state.job.is_scheduled:
            print(f"continuing replay {state.job.replay_id}, which was stopped before its end")
            return state
    now = datetime.now(UTC) + timedelta(minutes=1)  # clocks of those who accept may be ahead of this one
    job = ReplayJob(mint_replay_id(), 0, int(now.timestamp() * 1_000), rate=rate, is_scheduled=False)
    return journal.open(job, int(time.time() * 1_000))


def count_rows(store: ClickHouseEventStore) -> int:
    """Rows of `events`, every version of each."""
    return int(store.select("SELECT count() AS rows FROM events", {})[0]["rows"])


def left_to_load(place: Place) -> int | None:
    """Records that a mapping has still to deliver; None if nobody tells."""
    lags = read_lag(place.trigger_status_url) if place.trigger_status_url else {}
    return None if not lags or None in lags.values() else sum(lag or 0 for lag in lags.values())


def wait_until_loaded(
    count: Callable[[], int],
    read_left: Callable[[], int | None],
    *,
    is_lag_told: bool,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Return once nothing is left to load and no row has come for a while.

    Raises:
        GaveUp: something is left and has not become less for long.
    """
    quiet_seconds = QUIET_SECONDS if is_lag_told else QUIET_SECONDS_UNSEEN
    seen: tuple[int, int | None] | None = None
    moved_at = now()
    while True:
        state = (count(), read_left())
        if state != seen:
            seen, moved_at = state, now()
        quiet = now() - moved_at
        is_drained = state[1] == 0 or not is_lag_told
        if is_drained and quiet >= quiet_seconds:
            return
        if quiet >= STUCK_SECONDS:
            raise GaveUp(f"{state[1]} records are not loaded and it does not go on: the trigger's log says why")
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
