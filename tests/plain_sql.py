"""The questions as plain SQL in `schema/queries/`: the URL of each, what it is told, its rows as answers show them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from event_analytics.questions.parameters import LIMIT_DEFAULT

QUERIES = Path(__file__).resolve().parents[1] / "schema" / "queries"
TIMES = ("timestamp", "started_at", "ended_at")
KEYS = ("user_id", "conversation_id", "error")  # empty in the table is null in an answer


class PlainQuestion(NamedTuple):
    """One file, and the URL that it names. In `path`, `{conversation_id}` stands for one."""

    sql: str
    url: str
    path: str
    query: dict[str, str]

    def parameters(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the SQL is told where its URL is asked for; `told`: bounds of the window as RFC 3339, and the path's."""
        bounds = {name: as_clickhouse(told[name]) for name in ("start", "end") if told.get(name)}
        return {"limit": LIMIT_DEFAULT, **self.query, **told, **bounds}


def read_plain_questions() -> dict[str, PlainQuestion]:
    """Name of the file -> what it holds."""
    return {file.stem: _read(file.read_text("utf-8")) for file in sorted(QUERIES.glob("*.sql"))}


def _read(sql: str) -> PlainQuestion:
    [url] = re.findall(r"^-- GET (\S+)$", sql, re.MULTILINE)
    path, _, query = url.partition("?")
    return PlainQuestion(sql, url, path, dict(parse_qsl(query)))


def as_clickhouse(instant: str) -> str:
    """An instant of an answer as a parameter of the SQL."""
    return instant.replace("T", " ").rstrip("Z")


def as_answered(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the SQL as an answer shows it."""
    return {name: _as_answered(name, value) for name, value in row.items()}


def _as_answered(name: str, value: Any) -> Any:
    if name in TIMES:
        return value.replace(" ", "T") + "Z"
    return None if name in KEYS and value == "" else value
