"""Questions -> SQL with parameters, and rows -> answers. No user's text ever stands in the SQL.

FINAL makes every answer exact whatever arrived twice. A point read goes without: of the rows of one id the highest
version decides, which the id index finds and FINAL cannot use.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from event_analytics.errors import Reason, Refused
from event_analytics.windows import Window

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 10_000  # rows of one answer; below its 4 MB for every report
PAGE_BYTES_MAX: Final = 3_500_000  # of one page's events; the rest of the answer's 4 MB is its frame

_EVENT_COLUMNS: Final = (
    "id, user_id, conversation_id, event_name, toUnixTimestamp64Milli(timestamp) AS timestamp_ms, error, latency_ms, "
    "input, output, properties, conversation_metadata, version > 4503599627370496 AS is_folded"
)

_TOP_USERS: Final = """
SELECT user_id, events, sum(events) OVER () AS events_total, count() OVER () AS users_total
FROM
(
    SELECT user_id, count() AS events
    FROM events FINAL
    WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')} AND user_id != ''
    GROUP BY user_id
)
ORDER BY events DESC, user_id
LIMIT {limit:UInt32}
"""

_LATENCY: Final = """
SELECT event_name, count() AS events, quantilesExact(0.5, 0.95, 0.99)(assumeNotNull(latency_ms)) AS quantiles
FROM events FINAL
WHERE timestamp >= {start:DateTime64(3, 'UTC')} AND timestamp < {end:DateTime64(3, 'UTC')} AND latency_ms IS NOT NULL
GROUP BY event_name
ORDER BY event_name
LIMIT {limit:UInt32}
"""

_CONVERSATION: Final = f"""
SELECT {_EVENT_COLUMNS}
FROM events FINAL
WHERE conversation_id = {{conversation_id:String}}
    AND (toUnixTimestamp64Milli(timestamp), toString(id)) > ({{after_ms:Int64}}, {{after_id:String}})
ORDER BY timestamp, toString(id)
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - a constant of ours; ClickHouse sorts a UUID by its second half, its text by the whole

# One row per key of the id; the one that is not deleted is the event, if any is.
_EVENT: Final = f"""
SELECT {_EVENT_COLUMNS}, is_deleted
FROM
(
    SELECT * FROM events
    WHERE id = {{id:UUID}}
    ORDER BY version DESC
    LIMIT 1 BY conversation_id, toStartOfHour(timestamp)
)
ORDER BY is_deleted, version DESC
LIMIT 1
"""  # noqa: S608 - a constant of ours

_EMBEDDINGS: Final = """
SELECT input_embeddings, output_embeddings
FROM event_embeddings
WHERE id = {id:UUID}
    AND timestamp = fromUnixTimestamp64Milli({timestamp_ms:Int64}, 'UTC') AND conversation_id = {conversation_id:String}
ORDER BY version DESC
LIMIT 1
"""

_SMALLEST_ID: Final = UUID(int=0)
_BEFORE_ALL_TIME_MS: Final = -1


class Query(NamedTuple):
    """SQL and its parameters, as `EventStore.select` takes them."""

    sql: str
    parameters: Mapping[str, Any]


class Cursor(NamedTuple):
    """The last event of a page: the next page begins right after it."""

    timestamp_ms: int
    id: UUID


FIRST_PAGE: Final = Cursor(_BEFORE_ALL_TIME_MS, _SMALLEST_ID)


def read_limit(query: Mapping[str, str], default: int = LIMIT_DEFAULT) -> int:
    """Rows the caller wants, 1..LIMIT_MAX.

    Raises:
        Refused: limit_invalid.
    """
    text = query.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LIMIT_MAX)) and 1 <= int(text) <= LIMIT_MAX):
        raise Refused(Reason.LIMIT_INVALID, f"limit is a number from 1 to {LIMIT_MAX}", "limit")
    return int(text)


def refuse_unknown(query: Mapping[str, str], known: frozenset[str]) -> None:
    """Return if every parameter is known: a misspelt filter must not answer another question.

    Raises:
        Refused: parameter_unknown.
    """
    for name in sorted(set(query) - known):
        raise Refused(Reason.PARAMETER_UNKNOWN, f"known here: {', '.join(sorted(known)) or 'none'}", name[:80])


def compile_top_users(window: Window, limit: int) -> Query:
    """Users by number of events; ties by id. Events without a user do not count."""
    return Query(_TOP_USERS, {**_bounds_of(window), "limit": limit})


def compile_latency(window: Window, limit: int) -> Query:
    """Exact quantiles of `latency_ms` per event name, over the events that carry one."""
    return Query(_LATENCY, {**_bounds_of(window), "limit": limit})


def compile_conversation(conversation_id: str, after: Cursor, limit: int) -> Query:
    """Events of one conversation by (timestamp, id), from just after a cursor."""
    return Query(
        _CONVERSATION,
        {
            "conversation_id": conversation_id,
            "after_ms": after.timestamp_ms,
            "after_id": str(after.id),
            "limit": limit,
        },
    )


def compile_event(identifier: UUID) -> Query:
    """The newest row of one id, deleted or not."""
    return Query(_EVENT, {"id": str(identifier)})


def compile_embeddings(row: Mapping[str, Any]) -> Query:
    """The embeddings of the event in `row`."""
    return Query(_EMBEDDINGS, {name: row[name] for name in ("id", "timestamp_ms", "conversation_id")})


def _bounds_of(window: Window) -> dict[str, str]:
    return {"start": _clickhouse_time(window.start), "end": _clickhouse_time(window.end)}


def _clickhouse_time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def read_cursor(text: str | None) -> Cursor:
    """The cursor inside `next_cursor`; FIRST_PAGE for None.

    Raises:
        Refused: cursor_invalid.
    """
    if text is None:
        return FIRST_PAGE
    try:
        timestamp_ms, identifier = base64.urlsafe_b64decode(text.encode() + b"==").decode().split("/")
        return Cursor(int(timestamp_ms), UUID(identifier))
    except ValueError:
        raise Refused(Reason.CURSOR_INVALID, "the cursor is not one of ours", "cursor") from None


def write_cursor(cursor: Cursor) -> str:
    """The text that `read_cursor` reads."""
    return base64.urlsafe_b64encode(f"{cursor.timestamp_ms}/{cursor.id}".encode()).decode().rstrip("=")


def describe_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as answers show it: RFC 3339 time, null for what it lacks, JSON objects as they were sent."""
    return {
        "id": row["id"],
        "user_id": row["user_id"] or None,
        "conversation_id": row["conversation_id"] or None,
        "event_name": row["event_name"],
        "timestamp": format_instant(datetime.fromtimestamp(row["timestamp_ms"] / 1_000, tz=UTC)),
        "error": row["error"] or None,
        "latency_ms": row["latency_ms"],
        "input": row["input"],
        "output": row["output"],
        "properties": _describe_properties(row["properties"], is_folded=bool(row["is_folded"])),
        "conversation_metadata": msgspec.Raw((row["conversation_metadata"] or "null").encode()),
    }


def _describe_properties(text: str, *, is_folded: bool) -> object:
    if is_folded and "null" in text:
        # A merge patch takes a key away by null, and the store keeps that null (docs/decisions/0008).
        return drop_nulls(msgspec.json.decode(text))
    return msgspec.Raw((text or "null").encode())


def drop_nulls(document: object) -> object:
    """The document without members that are null, at any depth; lists keep theirs."""
    if not isinstance(document, dict):
        return document
    return {name: drop_nulls(value) for name, value in document.items() if value is not None}


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cut_page(rows: Sequence[Mapping[str, Any]], limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """The events of a page and its `next_cursor`, from up to `limit` + 1 rows: cut by count and by bytes.

    A page holds at least one event, whatever its size.
    """
    events: list[dict[str, Any]] = []
    size = 0
    for row in rows[:limit]:
        event = describe_event(row)
        size += len(msgspec.json.encode(event))
        if events and size > PAGE_BYTES_MAX:
            break
        events.append(event)
    if len(events) == len(rows):
        return events, None
    last = rows[len(events) - 1]
    return events, write_cursor(Cursor(last["timestamp_ms"], UUID(last["id"])))
