"""Pages of events in two phases: which events, by the columns that decide; then what they hold, for those alone.

The second phase finds its rows by the sorting key, so a page reads no wide data beside its own granules. It is cut by
bytes where the data lies: the function never holds more than an answer takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from event_analytics.http_exchange import payload_bytes_of
from event_analytics.questions.cursors import write_cursor
from event_analytics.questions.event_rows import TEXTS, VECTORS, EventRow, describe_event, select_list
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.questions.question import Asked, Found
from event_analytics.windows import Window

PAGE_BYTES_MAX: Final = 3_500_000  # of one page's events; the rest of the answer's 4 MB is its frame
PAGE_PAYLOAD_BYTES_MAX: Final = 5_500_000  # of the same as Lambda passes it on, which takes 6 MB
KEYS_MAX: Final = 1_000  # of one statement: 40 kB of ids
PARAMETER_BYTES_MAX: Final = 60_000  # ClickHouse's HTTP interface takes 128 KiB of one parameter, every quote escaped
FRAME_BYTES: Final = 400  # of one event in an answer: names, times, ids
FLOAT_BYTES: Final = 14  # of one number of an embedding as text
FIRST_SLICE: Final = timedelta(hours=1)
SLICE_GROWTH: Final = 24  # an hour, a day, 24 days, 576 days: a page of a long window rarely needs the second
_HOUR_MS: Final = 3_600_000
_MILLISECOND: Final = timedelta(milliseconds=1)

_OF_HOURS: Final = "toStartOfHour(timestamp) IN {hours:Array(DateTime('UTC'))}"
_OF_CONVERSATIONS: Final = "conversation_id IN {conversations:Array(String)}"
_OF_IDS: Final = "id IN {ids:Array(UUID)}"


class Key(NamedTuple):
    """What finds one row, and its place in the order."""

    timestamp_ms: int
    conversation_id: str
    id: str


class Order(NamedTuple):
    """Direction of (timestamp, id). ClickHouse sorts a UUID by its second half; UUIDToNum sorts as its text does."""

    is_descending: bool

    @property
    def sql(self) -> str:
        """For ORDER BY."""
        return "timestamp DESC, UUIDToNum(id) DESC" if self.is_descending else "timestamp, UUIDToNum(id)"

    @property
    def after(self) -> str:
        """The condition on what comes after a cursor."""
        sign = "<" if self.is_descending else ">"
        return (
            f"(timestamp, UUIDToNum(id)) {sign} "
            "(fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC'), UUIDToNum({after_id:UUID}))"
        )


def compile_keys(conditions: Conditions, order: Order, limit: int) -> Query:
    """The first keys by order: rows {timestamp_ms, conversation_id, id}."""
    sql = f"""
SELECT toUnixTimestamp64Milli(timestamp) AS timestamp_ms, conversation_id, id
FROM events FINAL
{conditions.where()}
ORDER BY {order.sql}
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours
    return Query(sql, {**conditions.parameters, "limit": limit})


def compile_rows(keys: Sequence[Key], include: tuple[str, ...], order: Order, bytes_max: int) -> Query:
    """What the events of some keys hold, from the first on as far as `bytes_max` go, and at least the first."""
    on_keys = _on_keys(keys)
    texts = ["error", "properties", "conversation_metadata", *(name for name in TEXTS if name in include)]
    # A string's size is a stream of its own in the store, which `length` of a nullable one does not use.
    size = " + ".join([str(FRAME_BYTES), *(f"ifNull({name}.size, 0)" for name in texts)])
    sql = f"""
SELECT {select_list(include)}
FROM events FINAL
PREWHERE {on_keys.sql} AND id IN
(
    SELECT id
    FROM
    (
        SELECT id, sum(bytes) OVER (ORDER BY {order.sql} ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
        FROM (SELECT id, timestamp, {size} AS bytes FROM events FINAL PREWHERE {on_keys.sql})
    )
    WHERE bytes_before < {{bytes_max:UInt64}}
)
ORDER BY {order.sql}
"""  # noqa: S608 - constants of ours
    return Query(sql, {**on_keys.parameters, "bytes_max": bytes_max})


def compile_vector_lengths(keys: Sequence[Key]) -> Query:
    """Rows {id, numbers}: how long the embeddings of some events are."""
    on_keys = _on_keys(keys)
    sql = f"""
SELECT id, length(input_embeddings) + length(output_embeddings) AS numbers
FROM event_embeddings FINAL
PREWHERE {on_keys.sql}
"""  # noqa: S608 - constants of ours
    return Query(sql, on_keys.parameters)


def compile_vectors(keys: Sequence[Key]) -> Query:
    """Rows {id, input_embeddings, output_embeddings} of some events."""
    on_keys = _on_keys(keys)
    sql = f"""
SELECT id, {", ".join(VECTORS)}
FROM event_embeddings FINAL
PREWHERE {on_keys.sql}
"""  # noqa: S608 - constants of ours
    return Query(sql, on_keys.parameters)


def _on_keys(keys: Sequence[Key]) -> Query:
    """A condition on the sorting key, and so fit for PREWHERE, which those rows alone satisfy."""
    hours = {key.timestamp_ms // _HOUR_MS * _HOUR_MS // 1_000 for key in keys}
    conversations = sorted({key.conversation_id for key in keys})
    conditions, parameters = (
        [_OF_HOURS, _OF_IDS],
        {
            "hours": [datetime.fromtimestamp(hour, tz=UTC).strftime("%Y-%m-%d %H:%M:%S") for hour in sorted(hours)],
            "ids": [key.id for key in keys],
        },
    )
    if sum(len(name.encode()) for name in conversations) <= PARAMETER_BYTES_MAX:  # it saves reading, ids decide
        conditions.insert(1, _OF_CONVERSATIONS)
        parameters["conversations"] = conversations
    return Query(" AND ".join(conditions), parameters)


def find_page(asked: Asked, select: Select, order: Order) -> Found:
    """One page of what is asked, at least one event if there is any; its cursor if there is more."""
    found = list(_find_keys(asked, select, order))
    keys = found[: asked.limit]
    events = _cut(_read_events(keys, asked.options.get("include", ()), select, order))
    if not keys:
        return Found(events)
    last_id = events[-1].id if events else keys[-1].id
    if last_id == keys[-1].id and len(found) == len(keys):
        return Found(events)
    last = next(key for key in keys if key.id == last_id)
    return Found(events, next_cursor=write_cursor(asked.fingerprint, asked.window, last.timestamp_ms, UUID(last.id)))


def _find_keys(asked: Asked, select: Select, order: Order) -> Iterator[Key]:
    """Up to one more than a page takes."""
    conditions, missing = asked.filters, asked.limit + 1
    if asked.cursor is not None:
        conditions = conditions.and_(order.after, after_ms=asked.cursor.timestamp_ms, after_id=str(asked.cursor.id))
    for window in _slices(asked, order):
        for row in select(compile_keys(conditions.within(window), order, missing)).rows:
            missing -= 1
            yield Key(row["timestamp_ms"], row["conversation_id"], row["id"])
        if missing <= 0:
            return


def _slices(asked: Asked, order: Order) -> Iterator[Window | None]:
    """The window in parts from where the page begins, each longer than the one before: most pages end in the first."""
    if asked.window is None:
        yield None
        return
    start, end = asked.window
    if asked.cursor is not None:
        instant = datetime.fromtimestamp(asked.cursor.timestamp_ms / 1_000, tz=UTC)
        start, end = (start, min(end, instant + _MILLISECOND)) if order.is_descending else (max(start, instant), end)
    length = FIRST_SLICE
    while start < end:
        if order.is_descending:
            yield Window(max(start, end - length), end)
            end -= length
        else:
            yield Window(start, min(end, start + length))
            start += length
        length *= SLICE_GROWTH


def _read_events(keys: Sequence[Key], include: tuple[str, ...], select: Select, order: Order) -> Iterator[EventRow]:
    """The events of a page from the first on, read as far as they are taken. What was deleted meanwhile is left out."""
    for first in range(0, len(keys), KEYS_MAX):
        chunk = keys[first : first + KEYS_MAX]
        wanted = _fitting(chunk, select) if "embeddings" in include else chunk
        rows = select(compile_rows(wanted, include, order, PAGE_BYTES_MAX)).rows
        if "embeddings" in include:
            rows = _with_vectors(rows, wanted, select)
        yield from map(describe_event, rows)
        if not rows or rows[-1]["id"] != chunk[-1].id:
            return


def _cut(events: Iterator[EventRow]) -> list[EventRow]:
    """The first events, as many as fit an answer, and at least one."""
    taken: list[EventRow] = []
    size = payload = 0
    for event in events:
        encoded = msgspec.json.encode(event)
        size, payload = size + len(encoded), payload + payload_bytes_of(encoded)
        if taken and (size > PAGE_BYTES_MAX or payload > PAGE_PAYLOAD_BYTES_MAX):
            break
        taken.append(event)
    return taken


def _fitting(keys: Sequence[Key], select: Select) -> list[Key]:
    """The first keys whose embeddings fit an answer, and at least one."""
    numbers = {row["id"]: row["numbers"] for row in select(compile_vector_lengths(keys)).rows}
    sizes = accumulate(numbers.get(key.id, 0) * FLOAT_BYTES for key in keys)
    fitting = [key for key, size in zip(keys, sizes, strict=True) if size <= PAGE_BYTES_MAX]
    return fitting or list(keys[:1])


def _with_vectors(rows: Sequence[Mapping[str, Any]], keys: Sequence[Key], select: Select) -> list[dict[str, Any]]:
    vectors = {row["id"]: row for row in select(compile_vectors(keys)).rows}
    none = dict.fromkeys(VECTORS)
    return [{**row, **vectors.get(row["id"], none)} for row in rows]
