"""Changes folded into rows: the SQL that makes an event's row equal to its create plus the whole log of its changes.

A fold is idempotent and free of order. Per field the highest version wins, deletes win over everything for ever, merge
patches apply in the order of their versions. The row it writes has a version that is greater for every superset of
changes, so of two folds at once the one that saw more wins, and a create that comes again never undoes a change.
docs/decisions/0008 tells what simpler schemes get wrong.

A fold writes nothing for an id whose row is not there yet. Whether a change is done is never judged by that: only by a
row whose version is at least the one that the log asks for.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.identifiers import timestamp_ms_of

FOLD_IDS_MAX: Final = 10_000  # ids of one statement: 20,000 read 9 MB of the id index at 113 million rows
# From here on versions are those of hidden rows (`conflicts`): an id sent under several keys shows one of them.
TOMBSTONE_VERSION_MIN: Final = 2**63
_HINT_MARGIN: Final = timedelta(hours=1)  # a client may mint the id and take the time at two moments
_SCALAR_FIELDS: Final = ("event_name", "error", "latency_ms", "input", "output", "conversation_metadata")
_VECTOR_FIELDS: Final = ("input_embeddings", "output_embeddings")

# 4096 times the newest version leaves room for the number of changes: more changes, greater version.
_LOG_VERSION: Final = "max(log.version) * 4096 + least(uniqExact(log.version, log.change_id), 4095)"
_IDS: Final = "(SELECT arrayJoin({ids:Array(UUID)}))"
_CURRENT_ROWS: Final = f"""
    SELECT * FROM events
    WHERE id IN {_IDS}
        AND timestamp >= {{from:DateTime64(3, 'UTC')}} AND timestamp < {{to:DateTime64(3, 'UTC')}}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, toStartOfHour(timestamp)
"""  # noqa: S608 - constants of ours


def _folded_log(fields: Sequence[str]) -> str:
    """One row per id: the version its row must have, whether it is deleted, and per field whether and what is set."""
    # argMax skips NULL, so a cleared field would keep its old value: the tuple carries the NULL through.
    last_values = ",\n        ".join(
        f"argMaxIf(tuple({field}), (log.version, log.change_id), has(fields, '{field}')).1 AS new_{field},\n"
        f"        countIf(has(fields, '{field}')) > 0 AS has_{field}"
        for field in fields
    )
    return f"""
    SELECT id, {_LOG_VERSION} AS log_version, max(log.is_deleted) AS log_deleted,
        {last_values},
        arrayMap(x -> x.3, arraySort(groupUniqArrayIf((log.version, log.change_id, patch), patch != ''))) AS patches
    FROM event_changes AS log
    WHERE id IN {_IDS}
    GROUP BY id
"""  # noqa: S608 - constants of ours


_FOLD_EVENTS: Final = f"""
INSERT INTO events (id, user_id, conversation_id, timestamp, accepted_us, event_name, error, latency_ms, input, output,
    conversation_metadata, properties, version, is_deleted)
SELECT row.id, row.user_id, row.conversation_id, row.timestamp, row.accepted_us,
    if(has_event_name, assumeNotNull(new_event_name), row.event_name),
    if(has_error, ifNull(new_error, ''), row.error),
    if(has_latency_ms, new_latency_ms, row.latency_ms),
    if(has_input, new_input, row.input),
    if(has_output, new_output, row.output),
    if(has_conversation_metadata, new_conversation_metadata, row.conversation_metadata),
    if(empty(patches), row.properties,
        arrayFold((merged, patch) -> if(patch = 'null', '{{}}', jsonMergePatch(merged, patch)),
            patches, if(row.properties = '', '{{}}', row.properties))),
    log_version, greatest(log_deleted, row.is_deleted)
FROM ({_CURRENT_ROWS}) AS row
INNER JOIN ({_folded_log(_SCALAR_FIELDS)}) AS folded ON row.id = folded.id
WHERE folded.log_version > row.version
"""  # noqa: S608 - constants of ours

_FOLD_EMBEDDINGS: Final = f"""
INSERT INTO event_embeddings (id, conversation_id, timestamp, accepted_us, input_embeddings, output_embeddings,
    version, is_deleted)
SELECT row.id, row.conversation_id, row.timestamp, row.accepted_us,
    if(has_input_embeddings, new_input_embeddings, vectors.input_embeddings),
    if(has_output_embeddings, new_output_embeddings, vectors.output_embeddings),
    log_version, greatest(log_deleted, row.is_deleted)
FROM ({_CURRENT_ROWS}) AS row
INNER JOIN ({_folded_log(_VECTOR_FIELDS)}) AS folded ON row.id = folded.id
LEFT JOIN
(
    SELECT * FROM event_embeddings
    WHERE id IN {_IDS}
        AND timestamp >= {{from:DateTime64(3, 'UTC')}} AND timestamp < {{to:DateTime64(3, 'UTC')}}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, toStartOfHour(timestamp)
) AS vectors
    ON row.id = vectors.id AND row.conversation_id = vectors.conversation_id AND row.timestamp = vectors.timestamp
WHERE folded.log_version > vectors.version AND (has_input_embeddings OR has_output_embeddings OR vectors.version > 0)
"""  # noqa: S608 - constants of ours

# The changes and the version they ask for come from one read: another could see a change that the first did not.
_MARK_FOLDED: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT folded.id, arrayJoin(folded.changes), 1
FROM
(
    SELECT id, {_LOG_VERSION} AS log_version, groupUniqArray(log.change_id) AS changes
    FROM event_changes AS log
    WHERE id IN {_IDS}
    GROUP BY id
) AS folded
INNER JOIN
(
    SELECT id, max(version) AS row_version FROM ({_CURRENT_ROWS}) WHERE version < {TOMBSTONE_VERSION_MIN} GROUP BY id
) AS current ON folded.id = current.id
WHERE current.row_version >= folded.log_version
"""  # noqa: S608 - constants of ours

_INSERT_PENDING: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT id, change_id, 0 FROM event_changes WHERE id IN {_IDS}
"""  # noqa: S608 - constants of ours

_UNFOLDED: Final = """
SELECT DISTINCT id
FROM (SELECT id, change_id FROM pending_changes WHERE id IN {ids:Array(UUID)}
      GROUP BY id, change_id HAVING max(is_folded) = 0)
"""

_PENDING_PAGE: Final = """
SELECT id, toUnixTimestamp(min(noted_at)) AS waiting_since
FROM (SELECT id, change_id, min(noted_at) AS noted_at FROM pending_changes WHERE id > {after:UUID}
      GROUP BY id, change_id HAVING max(is_folded) = 0)
GROUP BY id
ORDER BY id
LIMIT {limit:UInt32}
"""


class Statement(NamedTuple):
    """SQL and its parameters."""

    sql: str
    parameters: dict[str, Any]


class TimeRange(NamedTuple):
    """Half-open, UTC: where the rows of some ids are looked for."""

    start: datetime
    end: datetime


ALL_TIME: Final = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC))


def hint_of(ids: Sequence[UUID]) -> TimeRange | None:
    """Where the rows of the ids lie if each UUIDv7 carries its event's time; None if one carries none.

    Only a hint: a client may mint an id at another time than its event's.
    """
    times = [timestamp_ms_of(identifier) for identifier in ids]
    known = [datetime.fromtimestamp(time / 1_000, tz=UTC) for time in times if time is not None and time < 2**43]
    if not known or len(known) < len(times):
        return None
    return TimeRange(min(known) - _HINT_MARGIN, max(known) + _HINT_MARGIN)


def compile_pending(ids: Sequence[UUID]) -> Statement:
    """Notes that the changes of the ids may not be folded yet. Runs after the changes are in, before the fold."""
    return Statement(_INSERT_PENDING, _parameters(ids))


def compile_folds(ids: Sequence[UUID], where: TimeRange) -> list[Statement]:
    """Embeddings first: an event whose row is folded is complete."""
    return [Statement(sql, _parameters(ids, where)) for sql in (_FOLD_EMBEDDINGS, _FOLD_EVENTS)]


def compile_marks(ids: Sequence[UUID], where: TimeRange) -> Statement:
    """Marks as folded what a row shows to be folded."""
    return Statement(_MARK_FOLDED, _parameters(ids, where))


def compile_unfolded(ids: Sequence[UUID]) -> Statement:
    """Which of the ids have changes that are not marked as folded: rows {id}."""
    return Statement(_UNFOLDED, _parameters(ids))


def compile_pending_page(after: UUID, limit: int) -> Statement:
    """The next ids, in the store's order, that have unfolded changes: rows {id, waiting_since}, Unix seconds."""
    return Statement(_PENDING_PAGE, {"after": str(after), "limit": limit})


def _parameters(ids: Sequence[UUID], where: TimeRange | None = None) -> dict[str, Any]:
    parameters: dict[str, Any] = {"ids": [str(identifier) for identifier in ids]}
    if where is not None:
        parameters |= {"from": _clickhouse_time(where.start), "to": _clickhouse_time(where.end)}
    return parameters


def _clickhouse_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
