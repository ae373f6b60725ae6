"""The log of changes read back: which changes nothing can be made of, and the record that each of them was.

A change that is given up after it was loaded has no Kafka record in hand any more. Its record is made anew from its
row, and stands under an epoch of its own, with partition 0 and its version as the offset: one change has one dead
letter, whoever gives it up and however often.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from event_analytics.change import Change, encode_change
from event_analytics.embeddings import pack_embedding
from event_analytics.event import NO_JSON
from event_analytics.fold import Statement
from event_analytics.id_lists import IDS_SQL, pack_ids, rows_of
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.routing import EVENT_CHANGES_TOPIC

CHANGE_LOG_EPOCH: Final = "change-log"
NO_CHANGE: Final = (UUID(int=0), UUID(int=0))

_COLUMNS: Final = (
    "change_id, id, version, is_deleted, fields, event_name, error, latency_ms, input, output, conversation_metadata, "
    "patch, input_embeddings, output_embeddings"
)
_CHANGES: Final = rows_of("changes")
_BEFORE: Final = "toDateTime({before:UInt32}, 'UTC')"

_NAMES: Final = f"""
SELECT id, arrayMap(x -> x.2, arraySort(groupUniqArray((version, change_id)))) AS change_ids
FROM event_changes WHERE id IN {IDS_SQL} GROUP BY id
"""  # noqa: S608 - constants of ours
_ROWS: Final = f"""
SELECT {_COLUMNS} FROM event_changes
WHERE id IN {IDS_SQL} AND change_id IN {_CHANGES}
ORDER BY id, version, change_id
LIMIT 1 BY id, change_id
"""  # noqa: S608 - constants of ours
_EXPIRED: Final = f"""
SELECT {_COLUMNS} FROM event_changes
WHERE id IN {IDS_SQL} AND (id, change_id) > ({{after_id:UUID}}, {{after_change:UUID}}) AND (id, change_id) IN
(
    SELECT id, change_id FROM pending_changes WHERE id IN {IDS_SQL}
    GROUP BY id, change_id HAVING max(is_folded) = 0 AND min(noted_at) < {_BEFORE}
)
ORDER BY id, change_id
LIMIT 1 BY id, change_id
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours
_CLOSE: Final = f"DELETE FROM pending_changes WHERE id IN {IDS_SQL} AND is_folded = 0 AND noted_at < {_BEFORE}"  # noqa: S608
_REMOVE: Final = tuple(
    f"DELETE FROM {table} WHERE id IN {IDS_SQL} AND change_id IN {_CHANGES}"  # noqa: S608 - names of ours
    for table in ("event_changes", "pending_changes")
)


def compile_change_ids(ids: Sequence[UUID]) -> Statement:
    """The changes of each id in the order in which they apply: rows {id, change_ids}."""
    return Statement(_NAMES, pack_ids(ids))


def compile_rows(ids: Sequence[UUID], change_ids: Sequence[UUID]) -> Statement:
    """Rows of these changes of the ids, as `record_of_row` reads them."""
    return Statement(_ROWS, {**pack_ids(ids), **pack_ids(change_ids, "changes")})


def compile_expired(ids: Sequence[UUID], before_s: int, after: tuple[UUID, UUID], limit: int) -> Statement:
    """The next changes of the ids that were noted as pending before `before_s` (Unix seconds), and still are.

    `after`: (id, change_id) of the last one that was read; NO_CHANGE to begin with.
    """
    parameters = {**pack_ids(ids), "before": before_s, "limit": limit}
    return Statement(_EXPIRED, {**parameters, "after_id": str(after[0]), "after_change": str(after[1])})


def compile_closing(ids: Sequence[UUID], before_s: int) -> Statement:
    """Takes away the notes that were made before; a change that is sent again is noted again, as if it were new."""
    return Statement(_CLOSE, {**pack_ids(ids), "before": before_s})


def compile_removal(ids: Sequence[UUID], change_ids: Sequence[UUID]) -> list[Statement]:
    """Takes these changes of the ids out of the log, so that the others can be folded."""
    parameters = {**pack_ids(ids), **pack_ids(change_ids, "changes")}
    return [Statement(sql, parameters) for sql in _REMOVE]


def record_of_row(row: Mapping[str, Any]) -> KafkaRecord:
    """The record of a change on its topic; loading it again gives the same row."""
    identifier = UUID(row["id"])
    change = Change(
        UUID(row["change_id"]),
        identifier,
        row["version"],
        row["is_deleted"],
        row["fields"],
        row["event_name"],
        row["error"],
        row["latency_ms"],
        row["input"],
        row["output"],
        _json_of(row["conversation_metadata"]),
        _json_of(row["patch"]),
        pack_embedding(row["input_embeddings"], "input_embeddings") or "",
        pack_embedding(row["output_embeddings"], "output_embeddings") or "",
    )
    key = str(identifier).encode()
    return KafkaRecord(EVENT_CHANGES_TOPIC, 0, change.version, change.version // 1_000, key, encode_change(change))


def _json_of(text: str) -> msgspec.Raw:
    """What stood in the record for a stored text: an object is stored as it was sent, a JSON string without quotes."""
    if not text:
        return NO_JSON
    try:
        is_object = isinstance(msgspec.json.decode(text), dict)
    except (msgspec.MsgspecError, RecursionError):
        is_object = False
    return msgspec.Raw(text.encode() if is_object else msgspec.json.encode(text))
