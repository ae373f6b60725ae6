"""Requests read as the query function reads them, and a store's answers prepared."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from event_analytics.held_hours import HeldByWindow
from event_analytics.ports import Reading
from event_analytics.questions.asking import read_asked
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Query, Select
from event_analytics.questions.question import Asked
from tests.builders import UUID7, a_request

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
DEFAULT_PATHS: dict[str, dict[str, str]] = {"conversation-events": {"id": "c1"}, "event": {"id": UUID7}}


def asked(question: str, path: dict[str, str] | None = None, **query: object) -> Asked:
    """What a request asks. A list as value repeats the parameter; `__` in a name stands for a dot."""
    named = {name.replace("__", "."): value for name, value in query.items()}
    lists = {name: [str(each) for each in value] for name, value in named.items() if isinstance(value, list)}
    if BY_NAME[question].method == "POST":
        return read_asked(BY_NAME[question], a_request(named, route="POST /events/similar"), NOW)
    request = a_request(
        query={name: value[-1] if isinstance(value, list) else str(value) for name, value in named.items()},
        path_parameters=path or DEFAULT_PATHS.get(question, {}),
        repeated={name: values for name, values in lists.items() if len(values) > 1},
    )
    return read_asked(BY_NAME[question], request, NOW)


class PreparedSelect(Select):
    """Answers queries with prepared rows, in order, and keeps what it was asked."""

    def __init__(self, *answers: Sequence[Mapping[str, Any]], held: HeldByWindow | None = None) -> None:
        super().__init__(self._answer, held)
        self.answers = [[dict(row) for row in rows] for rows in answers]
        self.queries: list[Query] = []

    def _answer(self, query: Query) -> Reading:
        self.queries.append(query)
        rows = self.answers.pop(0) if self.answers else []
        return Reading(rows, rows_read=len(rows), bytes_read=0, elapsed_ms=0.0)
