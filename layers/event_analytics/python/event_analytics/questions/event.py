"""One event by its id, with everything.

It is read without FINAL: of the rows of one key the highest version decides, which the id index finds and FINAL cannot
use. An id may have rows under several keys; the one that is not deleted is the event, if any is.

The time inside an id of version 7 tells the hour in which its row nearly always is: that is one partition to look into.
Where there is no live row, and for all other ids, the id index tells the partition: it is asked in every part, for the
id alone, since each further column would be opened in every part as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from event_analytics.errors import Reason, Refused
from event_analytics.questions.event_rows import TEXTS, VECTORS, EventRow, describe_event, select_list
from event_analytics.questions.parameters import WAIT_MS_MAX, Kind, Parameter
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked, Found, Question

WAIT: Final = Parameter(
    "wait_ms",
    Kind.NUMBER,
    "How long to wait for an event that is not loaded yet.",
    default="0",
    minimum=0,
    maximum=WAIT_MS_MAX,
)
_VERSION_WITH_TIME: Final = 7
_ONE_THREAD: Final = "SETTINGS max_threads = 1"  # starting a second one is a fifth of the CPU of reading a row
_IS_IT: Final = "id = {id:UUID}"
_IN_ITS_PARTITION: Final = f"_partition_id IN (SELECT _partition_id FROM events WHERE {_IS_IT})"  # noqa: S608 - as above
_IN_ITS_HOUR: Final = "toStartOfHour(timestamp) = toStartOfHour(UUIDv7ToDateTime({id:UUID}, 'UTC'))"


def _newest(condition: str) -> str:
    return f"""
SELECT {select_list(TEXTS)}, is_deleted
FROM
(
    SELECT * FROM events
    WHERE {condition}
    ORDER BY version DESC
    LIMIT 1 BY conversation_id, toStartOfHour(timestamp)
)
ORDER BY is_deleted, version DESC
LIMIT 1
{_ONE_THREAD}
"""  # noqa: S608 - constants of ours


_EMBEDDINGS: Final = f"""
SELECT input_embeddings, output_embeddings
FROM event_embeddings
WHERE {_IS_IT} AND conversation_id = {{conversation_id:String}}
    AND timestamp = fromUnixTimestamp64Milli({{timestamp_ms:Int64}}, 'UTC')
ORDER BY version DESC
LIMIT 1
{_ONE_THREAD}
"""  # noqa: S608 - constants of ours


def compile_event(identifier: UUID) -> Query:
    """The newest row of one id, deleted or not."""
    return Query(_newest(f"{_IS_IT} AND {_IN_ITS_PARTITION}"), {"id": str(identifier)})


def compile_timed_event(identifier: UUID) -> Query:
    """The same of an id of version 7, if its row is in the hour that the id tells."""
    return Query(_newest(f"{_IS_IT} AND {_IN_ITS_HOUR}"), {"id": str(identifier)})


def compile_embeddings(row: Mapping[str, Any]) -> Query:
    """The embeddings of the event in `row`."""
    return Query(_EMBEDDINGS, {name: row[name] for name in ("id", "timestamp_ms", "conversation_id")})


def find_event(asked: Asked, select: Select) -> Found:
    """The one event.

    Raises:
        Refused: event_not_found, which may pass, or event_deleted.
    """
    row = find_event_row(asked.options["id"], select)
    vectors = select(compile_embeddings(row)).rows or [dict.fromkeys(VECTORS)]
    return Found([describe_event({**row, **vectors[0]})])


def find_event_row(identifier: UUID, select: Select) -> Mapping[str, Any]:
    """The row of the event of an id, without its embeddings.

    Raises:
        Refused: event_not_found, which may pass, or event_deleted.
    """
    rows: Sequence[Mapping[str, Any]] = []
    if identifier.version == _VERSION_WITH_TIME:
        rows = select(compile_timed_event(identifier)).rows
    if not rows or rows[0]["is_deleted"]:
        rows = select(compile_event(identifier)).rows
    if not rows:
        raise Refused(Reason.EVENT_NOT_FOUND, "there is no event of this id, or it is not loaded yet")
    if rows[0]["is_deleted"]:
        raise Refused(Reason.EVENT_DELETED, "the event was deleted")
    return rows[0]


EVENT = Question(
    name="event",
    route="/event/{id}",
    summary="One event with everything it has.",
    parameters=(WAIT,),
    rows_name="",
    row=EventRow,
    compile=lambda asked: compile_event(asked.options["id"]),
    answer=find_event,
)
