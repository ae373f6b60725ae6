"""What was found -> the answer: rows in their frame as JSON, or the rows alone as CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct

from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import RESPONSE_BYTES_MAX, Answer, answer
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.windows import format_instant

CSV: Final = "text/csv"
JSON: Final = "application/json"


class Frame(Struct, frozen=True, kw_only=True):
    """What stands beside the rows of every answer."""

    exact: Annotated[bool, Meta(description="Whether it equals a count over deduplicated events.")] = True
    generated_at: Annotated[str, Meta(description="When it was answered, RFC 3339.")]
    start: Annotated[str | None, Meta(description="First instant of the window; null is all of time.")]
    end: Annotated[str | None, Meta(description="First instant after the window; null is all of time.")]
    next_cursor: Annotated[str | None, Meta(description="Asks for the next page; null on the last.")]
    rows_read: Annotated[int, Meta(description="Rows that the store read for it.")]
    elapsed_ms: Annotated[float, Meta(description="Time that the function took for it.")]


def frame_of(asked: Asked, found: Found, now: datetime, rows_read: int, elapsed_ms: float) -> Frame:
    """The frame of an answer."""
    return Frame(
        generated_at=format_instant(now),
        start=format_instant(asked.window.start) if asked.window else None,
        end=format_instant(asked.window.end) if asked.window else None,
        next_cursor=found.next_cursor,
        rows_read=rows_read,
        elapsed_ms=round(elapsed_ms, 3),
    )


def answer_rows(question: Question, asked: Asked, found: Found, frame: Frame, accept: str) -> Answer:
    """The answer in the form that the caller accepts.

    Raises:
        Refused: query_too_heavy: more bytes than an answer takes.
    """
    if prefers_csv(accept):
        answered = Answer(200, _write_csv(question.columns_of(asked), found.rows), _csv_headers(found))
    elif question.rows_name:
        answered = answer(200, {question.rows_name: found.rows, **found.totals, **msgspec.structs.asdict(frame)})
    else:
        answered = answer(200, found.rows[0])
    if len(answered.body) > RESPONSE_BYTES_MAX:
        raise Refused(Reason.QUERY_TOO_HEAVY, f"the answer has over {RESPONSE_BYTES_MAX:,} bytes: lower limit", "limit")
    return answered


def prefers_csv(accept: str) -> bool:
    """Whether an Accept header names CSV, and JSON not before it."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return CSV in types and (JSON not in types or types.index(CSV) < types.index(JSON))


def _csv_headers(found: Found) -> dict[str, str]:
    cursor = {"Next-Cursor": found.next_cursor} if found.next_cursor else {}
    return {"Content-Type": f"{CSV}; charset=utf-8; header=present", **cursor}


def _write_csv(columns: Sequence[str], rows: Sequence[Struct]) -> bytes:
    """RFC 4180 with a header row; null is empty, objects and lists are their JSON."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell_of(getattr(row, column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def _cell_of(value: Any) -> object:
    if value is None or value is UNSET:
        return ""
    if isinstance(value, msgspec.Raw):
        text = bytes(value).decode()
        return "" if text == "null" else text
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value
