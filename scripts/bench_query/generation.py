"""The SQL that makes up events inside ClickHouse: `INSERT INTO events SELECT ... FROM numbers(...)`.

Every value is a function of the row's number, so that a statement that runs again writes the same rows, which count
once. A step tells what is made; nothing here runs it.

What they are like: conversations of 4 to 16 events (ten on average, 20 s apart) begin evenly over half a year; users
follow Zipf's law; seven event names, of which one in ten events carries no latency, the others log-normal ones; a
tenth of the conversations fails often, so that 5 % of all events have an error; 5 % of the ids are of version 4. Then a
part is written again, as redeliveries (2 %), changes (1 %) and deletes (0.5 %) do.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

GENERATION: Final = 1  # raise it when other rows come out: tables of another one are not gone on with
END: Final = datetime(2026, 11, 19, 12, tzinfo=UTC)  # a Thursday: the week that is being written is half over
WEEKS: Final = 26
_WEEK: Final = timedelta(weeks=1)
OPEN_WEEK: Final = datetime(2026, 11, 16, tzinfo=UTC)  # the Monday of its partition
_PAIR: Final = 20  # rows of two conversations
_CONVERSATION_SECONDS_MAX: Final = 400  # from its first event to its last: 16 times 20 s, and 15 s of chance
_ROWS_PER_USER: Final = 500
_USERS_MIN: Final = 50
_LOAD_ROWS: Final = 25_000  # of one insert into the open week; a closed one comes in one statement and is merged
_REWRITTEN_AT_ONCE: Final = timedelta(hours=6)  # of the open week
EMBEDDINGS_MAX: Final = 500_000
_EMBEDDINGS_AT_ONCE: Final = 25_000
EMBEDDED_ONE_IN: Final = 20
DIMENSIONS: Final = 384

_IDS: Final = """
    bitOr(bitShiftLeft(toUInt64(ms), 16), 0x7000 + cityHash64(n, 'high') % 4096) AS v7_high,
    bitOr(bitAnd(cityHash64(n, 'high'), 0xFFFFFFFFFFFF0FFF), 0x4000) AS v4_high,
    if(cityHash64(n, 'client') % 20 = 0, v4_high, v7_high) AS high,
    bitOr(bitAnd(cityHash64(n, 'low'), 0x3FFFFFFFFFFFFFFF), 0x8000000000000000) AS low,
    reinterpret(bitOr(bitShiftLeft(toUInt128(low), 64), toUInt128(high)), 'UUID') AS id
"""
_ROWS: Final = f"""
SELECT
    n, conversation, ms,
    {_IDS},
    concat('user-', lower(hex(cityHash64(toUInt64(pow({{users:UInt64}}, chance_of_user)), 'name')))) AS user_id,
    concat('conversation-', lower(hex(cityHash64(conversation, 'name')))) AS conversation_id,
    ['message_sent', 'message_received', 'tool_called', 'search', 'document_read', 'feedback', 'session_started'
        ][[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7][1 + cityHash64(n, 'event') % 20]] AS event_name,
    fromUnixTimestamp64Milli(toInt64(ms), 'UTC') AS timestamp,
    if(cityHash64(n, 'error') % 1000 < if(cityHash64(conversation, 'bad') % 10 = 0, 230, 30),
        ['timeout', 'rate_limited', 'model_overloaded', 'tool_failed: 502', 'context_too_long', 'refused by policy'
        ][1 + cityHash64(n, 'which') % 6], '') AS error,
    if(event_name IN ('feedback', 'session_started'), NULL, round(exp(6 + 0.8 * normal), 1)) AS latency_ms,
    concat(['Where is my order ', 'Please summarise document ', 'Translate the note ', 'What does clause '
        ][1 + cityHash64(n, 'input') % 4], toString(cityHash64(n, 'number') % 100000), '?') AS input,
    concat(['It is on its way: parcel ', 'In short: see section ', 'Here it is, version ', 'It says: paragraph '
        ][1 + cityHash64(n, 'input') % 4], toString(cityHash64(n, 'result') % 100000), '.') AS output,
    concat('{{"model":"', ['small-2', 'large-2', 'large-3'][1 + cityHash64(conversation, 'model') % 3],
        '","tokens":', toString(cityHash64(n, 'tokens') % 4000), ',"plan":"',
        ['free', 'pro', 'team'][1 + cityHash64(conversation, 'plan') % 3],
        '","stars":', toString(1 + cityHash64(n, 'stars') % 5), '}}') AS properties,
    '{{"channel":"web"}}' AS conversation_metadata,
    ms * 1000 + 500000 + cityHash64(n, 'delay') % 1000000 AS accepted_us
FROM
(
    SELECT
        number AS n, intDiv(n, {_PAIR}) AS pair, n % {_PAIR} AS place,
        4 + cityHash64(pair, 'length') % 13 AS first_length, place >= first_length AS is_second,
        2 * pair + is_second AS conversation, place - if(is_second, first_length, 0) AS position,
        {{begin_ms:UInt64}} + intDiv(conversation * {{span_ms:UInt64}}, {{conversations:UInt64}}) + position * 20000
            + cityHash64(n, 'gap') % 15000 AS ms,
        cityHash64(conversation, 'user') / 18446744073709551616. AS chance_of_user,
        greatest(cityHash64(n, 'radius') / 18446744073709551616., 1e-12) AS chance_of_radius,
        sqrt(-2 * log(chance_of_radius)) * cos(2 * pi() * cityHash64(n, 'angle') / 18446744073709551616.) AS normal
    FROM numbers({{first:UInt64}}, {{count:UInt64}})
)
"""  # noqa: S608 - constants of ours
_COLUMNS: Final = (
    "id, user_id, conversation_id, event_name, timestamp, error, latency_ms, input, output, properties, "
    "conversation_metadata, accepted_us"
)
_INSERT: Final = f"INSERT INTO events ({_COLUMNS}) SELECT {_COLUMNS} FROM ({_ROWS})"  # noqa: S608

# A redelivery is the row once more; a change has a higher version; of a deleted event the key is all that matters.
_REWRITE: Final = f"""
INSERT INTO events ({_COLUMNS}, version, is_deleted)
SELECT id, user_id, conversation_id, event_name, timestamp, if(chance < 30, error, ''), latency_ms, input, output,
    properties, conversation_metadata, accepted_us, if(chance < 20, version, accepted_us * 4096 + 1), chance < 5
FROM
(
    SELECT *, version, is_deleted, (cityHash64(id, 'again') % 1000) AS chance
    FROM events
    WHERE timestamp >= {{start:DateTime64(3, 'UTC')}} AND timestamp < {{end:DateTime64(3, 'UTC')}}
)
WHERE chance < 35 AND version < {2**52}
"""  # noqa: S608 - constants of ours
_MERGE: Final = (
    "OPTIMIZE TABLE {table} PARTITION '{monday:%Y-%m-%d}' FINAL SETTINGS optimize_skip_merged_partitions = 1"
)

_EMBED: Final = f"""
INSERT INTO event_embeddings (id, conversation_id, timestamp, input_embeddings, accepted_us)
SELECT id, conversation_id, timestamp,
    arrayMap(d -> toFloat32(toInt32(cityHash64(n, d) % 2001) - 1000) / 1000, range({DIMENSIONS})), accepted_us
FROM ({_ROWS})
WHERE cityHash64(n, 'embedded') % {EMBEDDED_ONE_IN} = 0
"""  # noqa: S608 - constants of ours

# Of the rows that no delete is written for: what may be asked for by its id.
_SAMPLE: Final = f"""
SELECT id, conversation_id FROM ({_ROWS}) WHERE cityHash64(id, 'again') % 1000 >= 5 ORDER BY n
"""  # noqa: S608 - constants of ours
_SAMPLED_AT_ONCE: Final = 1_000  # rows, of which fifty have an id of version 4


class Statement(NamedTuple):
    """SQL and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


class Step(NamedTuple):
    """What is written down as done once all its statements have run. `rows`: events that it makes up."""

    name: str
    statements: tuple[Statement, ...]
    rows: int = 0


class Scale(NamedTuple):
    """How much there is to be: so many events in the weeks until `END`."""

    rows: int
    weeks: int = WEEKS

    @property
    def begin(self) -> datetime:
        """The time of the first event."""
        return END - self.weeks * _WEEK

    def closed_weeks(self) -> list[datetime]:
        """The Mondays of all partitions but the last."""
        return [OPEN_WEEK - number * _WEEK for number in range(self.weeks, 0, -1)]

    def first_row(self, instant: datetime) -> int:
        """The row whose conversation begins at an instant, or soon after."""
        share = (max(instant, self.begin) - self.begin) / (END - self.begin)
        return round(self.rows * share) // _PAIR * _PAIR

    def select(self, template: str, first: int, end: int) -> Statement:
        """The template over the rows from `first` to `end`."""
        span = self.weeks * _WEEK - timedelta(seconds=_CONVERSATION_SECONDS_MAX)
        parameters = {
            "begin_ms": round(self.begin.timestamp() * 1_000),
            "span_ms": round(span.total_seconds() * 1_000),
            "conversations": 2 * -(-self.rows // _PAIR),
            "users": max(self.rows // _ROWS_PER_USER, _USERS_MIN),
            "first": first,
            "count": end - first,
        }
        return Statement(template, parameters)


def plan_events(scale: Scale) -> Iterator[Step]:
    """All that fills `events`, in order: closed weeks merged to one part each, the open one as a loader leaves it."""
    for monday in scale.closed_weeks():
        first, end = scale.first_row(monday), scale.first_row(monday + _WEEK)
        statements = (scale.select(_INSERT, first, end), _rewrite(monday, monday + _WEEK), _merge("events", monday))
        yield Step(f"week of {monday:%Y-%m-%d}", statements, end - first)
    for first in range(scale.first_row(OPEN_WEEK), scale.rows, _LOAD_ROWS):
        end = min(first + _LOAD_ROWS, scale.rows)
        yield Step(f"rows {first} to {end}", (scale.select(_INSERT, first, end),), end - first)
    start = OPEN_WEEK
    while start < END:
        yield Step(f"again {start:%Y-%m-%dT%H}", (_rewrite(start, start + _REWRITTEN_AT_ONCE),))
        start += _REWRITTEN_AT_ONCE


def plan_embeddings(scale: Scale) -> Iterator[Step]:
    """Embeddings of one event in twenty, of as many of the newest events as `EMBEDDINGS_MAX` takes."""
    wanted = min(EMBEDDINGS_MAX * EMBEDDED_ONE_IN, scale.rows)
    batch = _EMBEDDINGS_AT_ONCE * EMBEDDED_ONE_IN
    for first in range(scale.rows - wanted, scale.rows, batch):
        end = min(first + batch, scale.rows)
        yield Step(f"embeddings {first} to {end}", (scale.select(_EMBED, first, end),))


def plan_merges(scale: Scale) -> Step:
    """Closed weeks to one part each, whatever another merge that was under way left of them."""
    tables = ("events", "event_embeddings")
    return Step("merges", tuple(_merge(table, monday) for table in tables for monday in scale.closed_weeks()))


def compile_sample(scale: Scale, share: float) -> Statement:
    """Rows {id, conversation_id} of events at that share of the time, in order."""
    first = round(max(scale.rows - _SAMPLED_AT_ONCE, 0) * share)
    return scale.select(_SAMPLE, first, min(first + _SAMPLED_AT_ONCE, scale.rows))


def _merge(table: str, monday: datetime) -> Statement:
    return Statement(_MERGE.format(table=table, monday=monday), {})


def _rewrite(start: datetime, end: datetime) -> Statement:
    return Statement(_REWRITE, {"start": f"{start:%Y-%m-%d %H:%M:%S}", "end": f"{end:%Y-%m-%d %H:%M:%S}"})
