"""What a fold of one event may cost: the size of merged properties, and when a log is too heavy to be folded at all.

A merge reads and writes the whole of the properties for each patch, so its work is patches times size. Both have a
bound: properties may grow to twice the largest event, and a log whose fold ClickHouse had not the time or memory for is
given up if it is one of much work; of a lighter log the server is at fault, and the batch comes again.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from event_analytics.event import EVENT_BYTES_MAX
from event_analytics.id_lists import IDS_SQL, pack_ids

MERGED_BYTES_MAX: Final = 2 * EVENT_BYTES_MAX  # the largest event takes the largest update
WORK_BYTES_MIN: Final = 1_000_000_000  # of JSON to merge: 5 s of one core; never under it is a log at fault
_STATEMENT_SECONDS_MAX: Final = 20  # 10,000 ids take 2; below the 60 s for which an answer is waited
_STATEMENT_MEMORY_BYTES_MAX: Final = 4_000_000_000  # a quarter of a server of 16 GB

# The last step makes nothing: it looks at what the one before it made. ClickHouse's own number for `throwIf` is 395.
MERGED_PROPERTIES_SQL: Final = f"""arrayFold((merged, patch) -> multiIf(
            throwIf(patch != 'null' AND length(merged) > {MERGED_BYTES_MAX}, 'merged properties are too large'), '',
            patch = 'null', '{{}}', patch = '', merged, jsonMergePatch(merged, patch)),
        arrayPushBack(patches, ''), if(row.properties = '', '{{}}', row.properties))"""
FOLD_SETTINGS: Final = (
    f"max_execution_time = {_STATEMENT_SECONDS_MAX}, max_memory_usage = {_STATEMENT_MEMORY_BYTES_MAX}"
)
_WORK: Final = f"""
SELECT countIf(patch != '') AS patches, sum(length(patch)) AS patch_bytes,
    (SELECT max(length(properties)) FROM events WHERE id IN {IDS_SQL}) AS event_bytes
FROM event_changes WHERE id IN {IDS_SQL}
"""  # noqa: S608 - constants of ours


def compile_work(identifier: UUID) -> tuple[str, dict[str, Any]]:
    """SQL and parameters of one row, as `work_of` reads it."""
    return _WORK, dict(pack_ids([identifier]))


def work_of(row: Mapping[str, Any]) -> int:
    """Bytes of JSON that a fold of the id merges, at most."""
    return int(row["patches"]) * min(MERGED_BYTES_MAX, int(row["patch_bytes"]) + int(row["event_bytes"] or 0))
