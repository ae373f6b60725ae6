"""The time that a record bears in Kafka: when it was accepted or, where that is too long ago, when it is sent.

Kafka ages records by the time that they bear. One accepted longer ago than its topic retains could be deleted before
anybody has read it, the start of the partition would move past it, and no lag would tell. So what is sent late, or
again, bears the time of sending, and that of acceptance in a header: `date_records` does it for all that is appended,
`accepted_ms_of` undoes it for all that is read. Everywhere else `timestamp_ms` is acceptance.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import structs

from event_analytics.routing import Record

# A twelfth of the shortest retention that the template takes, 1 h. Ingest sends within seconds of acceptance: only what
# is sent again, or from the spool of a longer outage, pays for the header.
RECORD_AGE_MS_MAX: Final = 300_000
ACCEPTED_MS: Final = "accepted_ms"
# Until the year 2286: further than that no hour of the archive goes, and other producers may write what they like.
_TIME: Final = re.compile(rb"-?[0-9]{1,13}")


def date_records(records: Sequence[Record], now_ms: int) -> Sequence[Record]:
    """The records as they are sent at `now_ms`, Unix milliseconds: none bears a time before RECORD_AGE_MS_MAX ago."""
    oldest_ms = now_ms - RECORD_AGE_MS_MAX
    if all(record.timestamp_ms >= oldest_ms for record in records):
        return records
    return [
        record
        if record.timestamp_ms >= oldest_ms
        else structs.replace(record, timestamp_ms=now_ms, accepted_ms=record.timestamp_ms)
        for record in records
    ]


def accepted_ms_of(timestamp_ms: int, headers: Sequence[Mapping[str, Sequence[int]]]) -> int:
    """When a record was accepted that bears this time and these headers, as Lambda's event has them: bytes as numbers.

    A header that no `date_records` wrote is ignored.
    """
    for header in headers:
        value = header.get(ACCEPTED_MS)
        if value is not None:
            text = bytes(number & 0xFF for number in value)
            return int(text) if _TIME.fullmatch(text) else timestamp_ms
    return timestamp_ms
