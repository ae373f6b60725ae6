"""Changes folded into rows: the SQL that makes an event's row equal to its create plus the whole log of its changes.

A fold is idempotent and free of order. Per field the highest version wins, deletes win over everything for ever, merge
patches apply in the order of their versions. The row it writes has a version that is greater for every superset of
changes, so of two folds at once the one that saw more wins, and a create that comes again never undoes a change.
docs/decisions/0008 tells what simpler schemes get wrong.

A fold writes nothing for an id whose row is not there yet. Whether a change is done is never judged by that: only by a
row whose version is at least the one that the log asks for. A deleted event keeps its key and nothing of its content.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.fold_weight import FOLD_SETTINGS, MERGED_PROPERTIES_SQL
from event_analytics.id_lists import IDS_MAX, IDS_SQL, pack_ids, rows_of
from event_analytics.identifiers import timestamp_ms_of
from event_analytics.log_version import LOG_VERSION_SQL, VERSIONS_PER_MICROSECOND

FOLD_IDS_MAX: Final = IDS_MAX  # 20,000 read 9 MB of the id index at 113 million rows
# From here on versions are those of hidden rows (`conflicts`): an id sent under several keys shows one of them.
TOMBSTONE_VERSION_MIN: Final = 2**63
_TIME_MS_END: Final = 2**43  # in the year 2248, before ClickHouse's times end
_HINT_MARGIN: Final = timedelta(hours=1)  # a client may mint the id and take the time at two moments
# By default an index that has to read over 1,000,000 rows is not used: 3,900 ids.
_ANY_ROWS_OF_INDEX: Final = "max_projection_rows_to_use_projection_index = 1000000000"
# The granularity of the id index: looking ids up reads a granule for each, so fewer rows than that are better scanned.
_INDEX_GRANULE_ROWS: Final = 256
_SCALAR_FIELDS: Final = ("event_name", "error", "latency_ms", "input", "output", "conversation_metadata")
_VECTOR_FIELDS: Final = ("input_embeddings", "output_embeddings")

_WITHIN: Final = "timestamp >= {from:DateTime64(3, 'UTC')} AND timestamp < {to:DateTime64(3, 'UTC')}"
_CURRENT_ROWS: Final = f"""
    SELECT * FROM events
    WHERE id IN {IDS_SQL} AND {_WITHIN}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, toStartOfHour(timestamp)
"""  # noqa: S608 - constants of ours

# Embeddings have no index of ids: the keys of the events lead to them.
_CURRENT_VECTORS: Final = f"""
    SELECT * FROM event_embeddings
    WHERE (toStartOfHour(timestamp), conversation_id, id) IN
        (SELECT toStartOfHour(timestamp), conversation_id, id FROM events WHERE id IN {IDS_SQL} AND {_WITHIN})
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, toStartOfHour(timestamp)
"""  # noqa: S608 - constants of ours


def _folded_log(fields: Sequence[str], changes: str = "") -> str:
    """One row per id: the version its row must have, whether it is deleted, and per field whether and what is set.

    `changes`: a further condition on the rows of the log, "" for all of the id's.
    """
    # argMax skips NULL, so a cleared field would keep its old value: the tuple carries the NULL through.
    last_values = ",\n        ".join(
        f"argMaxIf(tuple({field}), (log.version, log.change_id), has(fields, '{field}')).1 AS new_{field},\n"
        f"        countIf(has(fields, '{field}')) > 0 AS has_{field}"
        for field in fields
    )
    return f"""
    SELECT id, {LOG_VERSION_SQL} AS log_version, max(log.is_deleted) AS log_deleted,
        {last_values},
        arrayMap(x -> x.3, arraySort(groupUniqArrayIf((log.version, log.change_id, patch), patch != ''))) AS patches
    FROM event_changes AS log
    WHERE id IN {IDS_SQL} {changes}
    GROUP BY id
"""  # noqa: S608 - constants of ours


def _folded_rows(changes: str = "") -> str:
    """The SELECT of the rows as a fold makes them, whether they are needed or not. `changes`: as above."""
    return f"""
SELECT row.id, row.user_id, row.conversation_id, row.timestamp, row.accepted_us,
    if(has_event_name, assumeNotNull(new_event_name), row.event_name),
    if(has_error, ifNull(new_error, ''), row.error),
    if(has_latency_ms, new_latency_ms, row.latency_ms),
    if(has_input, new_input, row.input),
    if(has_output, new_output, row.output),
    if(has_conversation_metadata, new_conversation_metadata, row.conversation_metadata),
    if(empty(patches), row.properties, {MERGED_PROPERTIES_SQL}),
    log_version, greatest(log_deleted, row.is_deleted)
FROM ({_CURRENT_ROWS}) AS row
INNER JOIN ({_folded_log(_SCALAR_FIELDS, changes)}) AS folded ON row.id = folded.id
"""  # noqa: S608 - constants of ours


_FOLD_EVENTS: Final = f"""
INSERT INTO events (id, user_id, conversation_id, timestamp, accepted_us, event_name, error, latency_ms, input, output,
    conversation_metadata, properties, version, is_deleted)
{_folded_rows()}
WHERE folded.log_version > row.version
"""

# All columns are computed, none is written, whatever version the row has by now.
_TRY_FOLD: Final = f"""
SELECT count() FROM ({_folded_rows(f"AND change_id IN {rows_of('changes')}")}) WHERE NOT ignore(*)
"""  # noqa: S608 - constants of ours

_PLAN: Final = f"""
SELECT min(is_deleted) AS are_all_deleted, if(are_all_deleted, [], groupArrayIf(id, is_deleted = 1)) AS deleted,
    groupArrayIf(id, is_deleted = 0 AND has_vectors) AS embedded,
    min(newest) * {VERSIONS_PER_MICROSECOND} AS version_min,
    (SELECT count() FROM event_embeddings) > 0 AS has_embeddings
FROM
(
    SELECT id, max(log.is_deleted) AS is_deleted, max(log.version) AS newest,
        max(hasAny(fields, {list(_VECTOR_FIELDS)})) AS has_vectors
    FROM event_changes AS log
    WHERE id IN {IDS_SQL}
    GROUP BY id
)
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
LEFT JOIN ({_CURRENT_VECTORS}) AS vectors
    ON row.id = vectors.id AND row.conversation_id = vectors.conversation_id AND row.timestamp = vectors.timestamp
WHERE folded.log_version > vectors.version AND (has_input_embeddings OR has_output_embeddings)
"""  # noqa: S608 - constants of ours


def _bury(table: str, columns: str, current_rows: str) -> str:
    """Deletes win whatever else the log says, so no content is read and none is kept."""
    return f"""
INSERT INTO {table} (id, {columns}, version, is_deleted)
SELECT row.id, {", ".join(f"row.{name}" for name in columns.split(", "))}, folded.log_version, 1
FROM ({current_rows}) AS row
INNER JOIN
(
    SELECT id, {LOG_VERSION_SQL} AS log_version FROM event_changes AS log WHERE id IN {IDS_SQL} GROUP BY id
) AS folded ON row.id = folded.id
WHERE folded.log_version > row.version
"""  # noqa: S608 - constants of ours


_BURY_EMBEDDINGS: Final = _bury("event_embeddings", "conversation_id, timestamp, accepted_us", _CURRENT_VECTORS)
_BURY_EVENTS: Final = _bury("events", "user_id, conversation_id, timestamp, accepted_us", _CURRENT_ROWS)

# The changes and the version they ask for come from one read: another could see a change that the first did not.
_MARK_FOLDED: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT folded.id, arrayJoin(folded.changes), 1
FROM
(
    SELECT id, {LOG_VERSION_SQL} AS log_version, groupUniqArray(log.change_id) AS changes
    FROM event_changes AS log
    WHERE id IN {IDS_SQL}
    GROUP BY id
) AS folded
INNER JOIN
(
    SELECT id, max(version) AS row_version FROM ({_CURRENT_ROWS}) WHERE version < {TOMBSTONE_VERSION_MIN} GROUP BY id
) AS current ON folded.id = current.id
WHERE current.row_version >= folded.log_version
"""  # noqa: S608 - constants of ours

# Hours of all rows, also of those that another fold wrote: it may have died before it marked them (`hour_marks`). A key
# that is hidden shows nothing, so nothing counts as folded that only its row holds. No row that a fold of these ids
# wrote has a version below `version_min`: that tells most rows apart before their ids are read.
_CHECK: Final = f"""
SELECT groupUniqArrayArray(current.hours) AS hours,
    groupArrayIf(id, current.row_version < folded.log_version) AS unfolded
FROM
(
    SELECT id, {LOG_VERSION_SQL} AS log_version FROM event_changes AS log WHERE id IN {IDS_SQL} GROUP BY id
) AS folded
LEFT JOIN
(
    SELECT id, maxIf(newest, newest < {TOMBSTONE_VERSION_MIN}) AS row_version, groupUniqArray(hour) AS hours
    FROM
    (
        SELECT id, toUnixTimestamp(toStartOfHour(timestamp)) AS hour, max(version) AS newest
        FROM events
        PREWHERE version >= {{version_min:UInt64}}
        WHERE id IN {IDS_SQL} AND {_WITHIN}
        GROUP BY id, conversation_id, hour
    )
    GROUP BY id
) AS current ON folded.id = current.id
"""  # noqa: S608 - constants of ours


class Statement(NamedTuple):
    """SQL and its parameters."""

    sql: str
    parameters: dict[str, Any]


class TimeRange(NamedTuple):
    """Half-open, UTC: where the rows of some ids are looked for."""

    start: datetime
    end: datetime


class FoldPlan(NamedTuple):
    """What the log asks for. `kept`: ids to fold; `embedded`: those of them whose embeddings change; `deleted`: ids.

    `has_embeddings`: whether any event has some. `version_min`: no row that the log asks for has a lower version.
    """

    kept: Sequence[UUID]
    deleted: Sequence[UUID]
    embedded: Sequence[UUID]
    has_embeddings: bool
    version_min: int = 0


ALL_TIME: Final = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC))


def hint_of(ids: Sequence[UUID]) -> TimeRange | None:
    """Where the rows of the ids lie if each UUIDv7 carries its event's time; None if one carries none.

    Only a hint: a client may mint an id at another time than its event's.
    """
    times = [timestamp_ms_of(identifier) for identifier in ids]
    known = [time for time in times if time is not None and time < _TIME_MS_END]
    if not known or len(known) < len(times):
        return None
    first, last = (datetime.fromtimestamp(time / 1_000, tz=UTC) for time in (min(known), max(known)))
    return TimeRange(first - _HINT_MARGIN, last + _HINT_MARGIN)


def compile_plan(ids: Sequence[UUID]) -> Statement:
    """What the log asks for, as `plan_of` reads it."""
    return Statement(_PLAN, pack_ids(ids))


def plan_of(rows: Sequence[Mapping[str, Any]], ids: Sequence[UUID]) -> FoldPlan:
    """The plan in the answer to `compile_plan` of these ids."""
    if not rows:
        return FoldPlan([], [], [], has_embeddings=False)
    row = rows[0]
    rest = [UUID(each) for each in row["embedded"]], bool(row["has_embeddings"]), int(row["version_min"])
    if row["are_all_deleted"]:
        return FoldPlan([], ids, *rest)
    deleted = {UUID(each): None for each in row["deleted"]}
    kept = [identifier for identifier in ids if identifier not in deleted] if deleted else ids
    return FoldPlan(kept, list(deleted), *rest)


def compile_folds(plan: FoldPlan, where: TimeRange) -> list[Statement]:
    """Embeddings first: an event whose row is folded is complete."""
    steps = (
        (_FOLD_EMBEDDINGS, plan.embedded),
        (_BURY_EMBEDDINGS, plan.deleted if plan.has_embeddings else ()),
        (_BURY_EVENTS, plan.deleted),
        (_FOLD_EVENTS, plan.kept),
    )
    statements = [_within(sql, ids, where) for sql, ids in steps if ids]
    return [Statement(f"{sql}, {FOLD_SETTINGS}", parameters) for sql, parameters in statements]


def compile_trial(identifier: UUID, change_ids: Sequence[UUID]) -> Statement:
    """Computes the row of an id with these of its changes only, and writes nothing: refused if a fold of them is."""
    sql, parameters = _within(_TRY_FOLD, [identifier], ALL_TIME)
    return Statement(sql, {**parameters, **pack_ids(change_ids, "changes")})


def compile_check(ids: Sequence[UUID], where: TimeRange, version_min: int) -> Statement:
    """One row {hours, unfolded}: hours of folded rows, Unix seconds; ids whose row is not what the log asks for.

    `version_min`: of the plan of these ids.
    """
    sql, parameters = _within(_CHECK, ids, where)
    return Statement(sql, {**parameters, "version_min": version_min})


def compile_marks(ids: Sequence[UUID], where: TimeRange) -> Statement:
    """Marks as folded what a row shows to be folded."""
    return _within(_MARK_FOLDED, ids, where)


def index_settings(ids: int) -> str:
    """SETTINGS of a statement that looks so many ids up in `events`."""
    return f"SETTINGS min_table_rows_to_use_projection_index = {ids * _INDEX_GRANULE_ROWS}, {_ANY_ROWS_OF_INDEX}"


def _within(sql: str, ids: Sequence[UUID], where: TimeRange) -> Statement:
    times = {"from": _clickhouse_time(where.start), "to": _clickhouse_time(where.end)}
    return Statement(f"{sql}{index_settings(len(ids))}", {**pack_ids(ids), **times})


def _clickhouse_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
