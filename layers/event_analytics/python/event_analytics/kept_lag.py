"""The newest measurement of the lag, as one object in S3: for functions that reach S3 and no broker.

A measurement takes the place of the one before and is compared with it: of records that wait at both, while load took
none in between, it says since when they stand.
"""

from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from event_analytics.ports import ErasableStore, ObjectStore

LAG_NAME: Final = "state/v1/lag.json"
# Measured every minute, behind jobs that may take another; an older figure says nothing of now.
LAG_AGE_MAX: Final = timedelta(minutes=5)


class Lags(NamedTuple):
    """Records between what consumers have committed and the ends of their topics.

    `load_taken`: the offsets that load has reached, added up; it stands still exactly while load takes nothing.
    """

    load: int
    archive: int
    load_taken: int


class KeptLag(msgspec.Struct, frozen=True):
    """Lags at `measured_ms`. `load_stalled_ms`: since when records wait of which load took none; Unix milliseconds."""

    measured_ms: int
    load: int
    archive: int
    load_taken: int
    load_stalled_ms: int | None = None


def keep_lag(objects: ErasableStore, lags: Lags, measured_ms: int) -> None:
    """Keep a measurement as the newest. The errors of the object store pass through."""

    def follow(before: bytes) -> bytes:
        return msgspec.json.encode(_after(_read(before), lags, measured_ms))

    if not objects.rewrite(LAG_NAME, follow):
        objects.put_new(LAG_NAME, follow(b""))


def read_kept_lag(objects: ObjectStore) -> KeptLag | None:
    """The newest measurement; None where there is none that can be read."""
    return _read(objects.get(LAG_NAME) or b"")


def _read(body: bytes) -> KeptLag | None:
    try:
        return msgspec.json.decode(body, type=KeptLag)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _after(before: KeptLag | None, lags: Lags, measured_ms: int) -> KeptLag:
    stalled_ms = None
    if before and before.load and lags.load and before.load_taken == lags.load_taken:
        stalled_ms = before.load_stalled_ms or before.measured_ms
    return KeptLag(measured_ms, *lags, stalled_ms)
