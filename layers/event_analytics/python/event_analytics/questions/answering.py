"""What was found -> the answer: rows in their frame as JSON, or the rows alone as CSV.

CSV holds every value as it is, for programs. A spreadsheet takes a text that begins with `=` for a formula and runs it,
and such a text may come from anybody who can send events. So who opens the file in one asks for
`text/csv; formulas=escaped`, as the dashboard does: these texts then begin with an apostrophe, as OWASP advises.
"""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct

from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import RESPONSE_BYTES_MAX, Answer, answer, is_deliverable
from event_analytics.questions.question import Asked, Found, Question
from event_analytics.windows import format_instant

CSV: Final = "text/csv"
JSON: Final = "application/json"
ESCAPED: Final = "formulas=escaped"
_FORMULA_STARTS: Final = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the wide ones count in some spreadsheets


class Form(StrEnum):
    """What an answer is written as."""

    JSON = "json"
    CSV = "csv"
    CSV_FOR_SPREADSHEETS = "csv for spreadsheets"


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
    form = form_of(accept)
    if form is not Form.JSON:
        cell_of = _escaped_cell_of if form is Form.CSV_FOR_SPREADSHEETS else _cell_of
        body = _write_csv(question.columns_of(asked), found.rows, cell_of)
        answered = Answer(200, body, _csv_headers(found, form))
    elif question.rows_name:
        answered = answer(200, {question.rows_name: found.rows, **found.totals, **msgspec.structs.asdict(frame)})
    else:
        answered = answer(200, found.rows[0])
    if not is_deliverable(answered.body):
        message = f"the answer has over {RESPONSE_BYTES_MAX:,} bytes, escapes included: lower limit"
        raise Refused(Reason.QUERY_TOO_HEAVY, message, "limit")
    return answered


def form_of(accept: str) -> Form:
    """The form that an Accept header asks for: CSV if it names it, and JSON not before it."""
    for part in accept.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        if name == JSON:
            return Form.JSON
        if name == CSV:
            return Form.CSV_FOR_SPREADSHEETS if ESCAPED in parameters else Form.CSV
    return Form.JSON


def _csv_headers(found: Found, form: Form) -> dict[str, str]:
    cursor = {"Next-Cursor": found.next_cursor} if found.next_cursor else {}
    escaped = f"; {ESCAPED}" if form is Form.CSV_FOR_SPREADSHEETS else ""
    return {"Content-Type": f"{CSV}; charset=utf-8; header=present{escaped}", **cursor}


def _write_csv(columns: Sequence[str], rows: Sequence[Struct], cell_of: Callable[[Any], object]) -> bytes:
    """RFC 4180 with a header row; null is empty, objects and lists are their JSON."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([cell_of(getattr(row, column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def _cell_of(value: Any) -> object:
    if value is None or value is UNSET:
        return ""
    if isinstance(value, msgspec.Raw):
        text = bytes(value).decode()
        return "" if text == "null" else text
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def _escaped_cell_of(value: Any) -> object:
    cell = _cell_of(value)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
