"""Names of archived objects: the one place that builds them and the one that reads them.

`raw/v1/topic=T/date=YYYY-MM-DD/hour=HH/partition=PPP/epoch=E/<first>-<last>-<hash8>.jsonl.gz`

Equal content has an equal name, so writing again changes nothing; offsets in the name make gaps visible; the epoch
keeps two lives of a topic that restarted at offset 0 apart. Date and hour are UTC, of acceptance.
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

RAW_PREFIX: Final = "raw/v1/"
HASH_BYTES: Final = 4
# Other producers may give a record any time, and Kafka has -1 for none: its object lies in the nearest hour that a name
# can say (1970 to 9999), and its line keeps the time that it came with.
NAMED_MS_MIN: Final = 0
NAMED_MS_MAX: Final = 253_402_300_799_999

_KEY: Final = re.compile(
    r"raw/v1/topic=(?P<topic>[\w.-]+)/date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>[01]\d|2[0-3])"
    r"/partition=(?P<partition>\d+)/epoch=(?P<epoch>[\w.-]+)/(?P<first>\d+)-(?P<last>\d+)-(?P<digest>[0-9a-f]{8})\.jsonl\.gz",
    re.ASCII,
)


class ArchiveKey(NamedTuple):
    """What the name of an archived object says. `hour` is the UTC start of the hour; offsets include both ends."""

    topic: str
    hour: datetime
    partition: int
    epoch: str
    first_offset: int
    last_offset: int
    digest: str


def key_of(key: ArchiveKey) -> str:
    """The object's name."""
    return (
        f"{RAW_PREFIX}topic={key.topic}/date={key.hour:%Y-%m-%d}/hour={key.hour:%H}/partition={key.partition:03d}"
        f"/epoch={key.epoch}/{key.first_offset}-{key.last_offset}-{key.digest}.jsonl.gz"
    )


def hour_prefix(topic: str, hour: datetime) -> str:
    """What the names of all objects of a topic and hour begin with; names of earlier hours sort before it."""
    return f"{RAW_PREFIX}topic={topic}/date={hour:%Y-%m-%d}/hour={hour:%H}/"


def parse_key(name: str) -> ArchiveKey | None:
    """What the name says; None for an object that is no archived batch."""
    match = _KEY.fullmatch(name)
    hour = _hour_in(match) if match else None
    if match is None or hour is None:
        return None
    return ArchiveKey(
        match["topic"],
        hour,
        int(match["partition"]),
        match["epoch"],
        int(match["first"]),
        int(match["last"]),
        match["digest"],
    )


def _hour_in(match: re.Match[str]) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{match['date']}T{match['hour']}:00:00+00:00")
    except ValueError:  # a day that no month has
        return None


def named_ms(timestamp_ms: int) -> int:
    """The nearest Unix millisecond that a name can say."""
    return min(max(timestamp_ms, NAMED_MS_MIN), NAMED_MS_MAX)


def hour_of(timestamp_ms: int) -> datetime:
    """UTC start of the hour that holds a Unix millisecond, or of the nearest hour that a name can say."""
    return datetime.fromtimestamp(named_ms(timestamp_ms) // 3_600_000 * 3_600, tz=UTC)
