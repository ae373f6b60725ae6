"""A request -> what it asks, every part of it read or refused by name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from event_analytics.event import TEXT_KEY_LENGTH_MAX
from event_analytics.http_exchange import Request
from event_analytics.questions.body import read_members
from event_analytics.questions.cursors import Cursor, fingerprint_of, read_cursor
from event_analytics.questions.filters import read_filters
from event_analytics.questions.parameters import LIMIT_DEFAULT, Kind, check_text, read_id, read_values, refuse_unknown
from event_analytics.questions.question import Asked, Question
from event_analytics.windows import Window, read_window

_NOT_OPTIONS: Final = {Kind.WINDOW, Kind.INSTANT, Kind.CURSOR, Kind.COMPARISON}


def read_asked(question: Question, request: Request, now: datetime) -> Asked:
    """What a request asks of a question.

    Raises:
        Refused: the parameter at fault, by name.
    """
    vectors: Mapping[str, str] = {}
    if question.method == "POST":
        refuse_unknown(request.query, ())
        texts, vectors = read_members(question.parameters, request)
        request = request._replace(query=texts, repeated={})
    path = _read_path(question, request.path_parameters)
    values = read_values(question.parameters, request.query, request.repeated)
    fingerprint = fingerprint_of(question.name, request.path_parameters, request.query, request.repeated)
    cursor = read_cursor(values["cursor"], fingerprint) if "cursor" in values else None
    options = {
        parameter.name: values[parameter.name]
        for parameter in question.parameters
        if parameter.kind not in _NOT_OPTIONS and parameter.name in values
    }
    return Asked(
        window=_window_of(question, request, cursor, now),
        filters=read_filters(values, request.query, request.repeated),
        limit=values.get("limit", LIMIT_DEFAULT),
        cursor=cursor,
        options={**options, **vectors, **path},
        fingerprint=fingerprint,
    )


def _window_of(question: Question, request: Request, cursor: Cursor | None, now: datetime) -> Window | None:
    """The first page's window, kept by its cursor; None where a question has none or may go without."""
    given = request.query.keys() & {"window", "start", "end"}
    has_default = any(parameter.kind is Kind.WINDOW and parameter.default for parameter in question.parameters)
    if not (given or has_default):
        return None
    window = read_window(request.query, now)
    return window if cursor is None else cursor.window()


def _read_path(question: Question, path: Mapping[str, str]) -> dict[str, Any]:
    if "{id}" not in question.route:
        return {}
    text = path["id"]
    if question.rows_name:
        return {"id": check_text(text, "id", TEXT_KEY_LENGTH_MAX)}
    return {"id": read_id(text, "id")}
