"""Waits on conditions, each with a limit that starts again when things get on: slow is fine, stalled is not."""

from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Final

from local_runtime.lag import wait_until_drained
from scripts.demo.archive import ArchiveState
from scripts.demo.checking import count_missing
from scripts.failures import GaveUp
from scripts.progress import Advance

STALLED_SECONDS: Final = 60.0  # without one more event visible: something is broken, not slow
ARCHIVE_SECONDS: Final = 60.0  # without one more record archived; an archive window is seconds to minutes long
QUIET_SECONDS: Final = 120.0  # for records whose events show already
POLL_SECONDS: Final = 0.3
USERS_NAMED: Final = 5


def wait_until_visible(
    count_by_user: Callable[[], Mapping[str, int]],
    sent: Mapping[str, int],
    advance: Advance,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Returns when every user's events show.

    Raises:
        GaveUp: no more of them came for `stalled_seconds`; it names users and how many events they miss.
    """
    total, shown, moved_at = sum(sent.values()), 0, monotonic()
    while True:
        missing = count_missing(sent, count_by_user())
        if (now_shown := total - sum(missing.values())) > shown:
            advance(now_shown - shown)
            shown, moved_at = now_shown, monotonic()
        if not missing:
            return
        if monotonic() - moved_at > stalled_seconds:
            named = ", ".join(f"{user} {n:,}" for user, n in missing.most_common(USERS_NAMED))
            raise GaveUp(
                f"{sum(missing.values()):,} of {total:,} accepted events of {len(missing):,} users do not show "
                f"after {stalled_seconds:.0f} s without progress. Most are missing of: {named}. See the logs of "
                "load and kafka_trigger, and `make status` for the lag"
            )
        sleep(POLL_SECONDS)


def wait_until_quiet(trigger_status_url: str, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Returns when the trigger has delivered everything, or when the time is up: it only makes a check sharper."""
    deadline = monotonic() + quiet_seconds
    while wait_until_drained(trigger_status_url) and monotonic() < deadline:
        sleep(POLL_SECONDS)


def wait_until_archived(
    list_archive: Callable[[], ArchiveState], records: int, stalled_seconds: float = ARCHIVE_SECONDS
) -> ArchiveState:
    """The archive once it holds so many records, or as it is when none was added for `stalled_seconds`."""
    state, moved_at = list_archive(), monotonic()
    while state.records < records and monotonic() - moved_at < stalled_seconds:
        sleep(POLL_SECONDS)
        newer = list_archive()
        if newer.records > state.records:
            moved_at = monotonic()
        state = newer
    return state
