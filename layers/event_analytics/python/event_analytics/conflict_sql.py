"""The SQL of conflicts: looks ids up, hides rows, puts their acceptance right, and brings them back.

`conflicts` decides which. Of several that settle one id at the same moment the last one to look sees what all wrote.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.conflicts import CREATE_VERSION_MAX, KeyRows, Settlement
from event_analytics.fold import TOMBSTONE_VERSION_MIN, Statement
from event_analytics.id_lists import IDS_SQL, pack_ids, unpacked

# Rows of one statement: those that come back are held in memory, up to a megabyte each; and a server takes 128 KiB of
# one parameter, such as their conversations of up to 128 characters, escaped.
ROWS_AT_ONCE: Final = 50

_HOUR: Final = "toUnixTimestamp(toStartOfHour(timestamp))"
# A part with fewer rows for each id is read faster without the index of ids: 0.8 of the time at 300 rows for each.
_INDEX_ROWS_PER_ID_MIN: Final = 512
# By default an index that has to read over 1,000,000 rows is not used: 3,900 ids.
_ANY_ROWS_OF_INDEX: Final = "max_projection_rows_to_use_projection_index = 1000000000"
_NOT_DEDUPLICATED: Final = (
    "insert_deduplicate = 0"  # equal rows may have to come again after a tombstone was taken away
)
_EVENT_COLUMNS: Final = (
    "id, user_id, conversation_id, timestamp, event_name, error, latency_ms, input, output, conversation_metadata, "
    "properties"
)
_EMBEDDING_COLUMNS: Final = "id, conversation_id, timestamp, input_embeddings, output_embeddings"

_LOOKUP: Final = f"""
SELECT id, groupArray((conversation_id, hour, first_us, kept_us, newest)) AS keys
FROM
(
    SELECT id, conversation_id, {_HOUR} AS hour,
        min(accepted_us) AS first_us, argMax(accepted_us, (version, -accepted_us)) AS kept_us, max(version) AS newest
    FROM events
    WHERE id IN {IDS_SQL}
    GROUP BY id, conversation_id, hour
)
GROUP BY id
HAVING count() > 1 OR max(newest) > {CREATE_VERSION_MAX}
"""  # noqa: S608 - constants of ours

_ASKED: Final = f"""
    SELECT asked.1 AS id, asked.2 AS conversation_id, asked.3 AS hour, asked.4 AS first_us
    FROM (SELECT arrayJoin(arrayZip({unpacked("ids")}, {{conversations:Array(String)}}, {{hours:Array(UInt32)}},
        {{firsts:Array(UInt64)}})) AS asked)
"""  # noqa: S608 - names of ours


def _newest_rows(table: str) -> str:
    return f"""
    SELECT *, {_HOUR} AS hour, min(accepted_us) OVER (PARTITION BY id, conversation_id, hour) AS earliest_us
    FROM {table}
    WHERE id IN {IDS_SQL}
    ORDER BY id, version DESC, accepted_us
    LIMIT 1 BY id, conversation_id, hour
"""  # noqa: S608 - a name of ours


# A create may have come since it was decided: a tombstone that did not carry its time would swallow it in a merge.
_FIRST: Final = "least(asked.first_us, kept.earliest_us)"


def _event_copies(version: str, is_deleted: str) -> str:
    columns = ", ".join(f"kept.{name} AS {name}" for name in _EVENT_COLUMNS.split(", "))
    return f"""
INSERT INTO events ({_EVENT_COLUMNS}, accepted_us, version, is_deleted)
SELECT {columns}, {_FIRST}, {version}, {is_deleted}
FROM ({_newest_rows("events")}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
SETTINGS {_NOT_DEDUPLICATED}
"""  # noqa: S608 - constants of ours


_TOMBSTONE_VERSION: Final = f"{TOMBSTONE_VERSION_MIN} + {CREATE_VERSION_MAX} - {_FIRST}"
# Written where there are no embeddings too: a fold may be about to write some.
_HIDE_EMBEDDINGS: Final = f"""
INSERT INTO event_embeddings ({_EMBEDDING_COLUMNS}, accepted_us, version, is_deleted)
SELECT kept.id, kept.conversation_id, kept.timestamp, vectors.input_embeddings, vectors.output_embeddings,
    {_FIRST}, {_TOMBSTONE_VERSION}, 1
FROM ({_newest_rows("events")}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
LEFT JOIN ({_newest_rows("event_embeddings")}) AS vectors
    ON kept.id = vectors.id AND kept.conversation_id = vectors.conversation_id AND kept.hour = vectors.hour
SETTINGS {_NOT_DEDUPLICATED}
"""  # noqa: S608 - constants of ours
# Embeddings are hidden first and come back last: an event that shows has its embeddings. One that is hidden may get
# them back from somebody who is still reviving it: whoever revived hides it once more (`conflicts.hidden_since`).
_HIDE: Final = (_HIDE_EMBEDDINGS, _event_copies(_TOMBSTONE_VERSION, "1"))
_BACKDATE: Final = (_event_copies("kept.version", "kept.is_deleted"),)  # of equal versions the last insert counts


def _revived_rows(table: str, columns: str) -> str:
    """The rows as they shall be: their version lies just below that of the create, which counts if it is there."""
    names = ", ".join(f"kept.{name} AS {name}" for name in columns.split(", "))
    return f"""
SELECT {names}, {_FIRST} AS accepted_us, {CREATE_VERSION_MAX} - {_FIRST} - 1 AS version, 0 AS is_deleted
FROM ({_newest_rows(table)}) AS kept
INNER JOIN ({_ASKED}) AS asked
    ON kept.id = asked.id AND kept.conversation_id = asked.conversation_id AND kept.hour = asked.hour
"""  # noqa: S608 - constants of ours


def _unhide(table: str) -> str:
    return f"""
DELETE FROM {table}
WHERE id IN {IDS_SQL} AND (id, conversation_id, {_HOUR}) IN (SELECT id, conversation_id, hour FROM ({_ASKED}))
    AND version >= {TOMBSTONE_VERSION_MIN}
"""  # noqa: S608 - a name of ours


class Revival(NamedTuple):
    """How hidden rows of one table come back: what they hold, how the tombstones go, and the columns to insert."""

    table: str
    rows: Statement
    unhide: Statement
    columns: tuple[str, ...]


def compile_lookup(ids: Sequence[UUID]) -> Statement:
    """Of up to IDS_MAX ids those with several keys, or folded, or hidden: rows {id, keys}, as `decide` reads them."""
    by_index_from = len(ids) * _INDEX_ROWS_PER_ID_MIN
    settings = f"SETTINGS min_table_rows_to_use_projection_index = {by_index_from}, {_ANY_ROWS_OF_INDEX}"
    return Statement(f"{_LOOKUP}{settings}", pack_ids(ids))


def compile_hiding(settlement: Settlement) -> list[Statement]:
    """Tombstones, and acceptance times put right. They may run again."""
    steps = ((_HIDE, settlement.hide), (_BACKDATE, settlement.backdate))
    return [
        Statement(sql, _parameters(rows[start : start + ROWS_AT_ONCE]))
        for statements, rows in steps
        for start in range(0, len(rows), ROWS_AT_ONCE)
        for sql in statements
    ]


def compile_revivals(revived: Sequence[KeyRows]) -> list[Revival]:
    """For each table: what to hold in memory, and what then takes the tombstones away."""
    parameters = _parameters(revived)
    return [
        Revival(
            table,
            Statement(_revived_rows(table, columns), parameters),
            Statement(_unhide(table), parameters),
            (*columns.split(", "), "accepted_us", "version", "is_deleted"),
        )
        for table, columns in (("events", _EVENT_COLUMNS), ("event_embeddings", _EMBEDDING_COLUMNS))
    ]


def _parameters(rows: Sequence[KeyRows]) -> dict[str, Any]:
    return {
        **pack_ids([each.id for each in rows]),
        "conversations": [each.key.conversation_id for each in rows],
        "hours": [each.key.hour for each in rows],
        "firsts": [each.first_us for each in rows],
    }
