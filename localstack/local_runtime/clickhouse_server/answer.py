"""What goes back to the client, and the headers ClickHouse puts on it."""

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from local_runtime.clickhouse_server.exceptions import ClickHouseError

TEXT: Final = "text/plain; charset=UTF-8"
_CONTENT_TYPES: Final = {
    "tabseparatedwithnames": "text/tab-separated-values; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "csvwithnames": "text/csv; charset=UTF-8",
    "json": "application/json; charset=UTF-8",
    "jsoncompact": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
    "arrow": "application/octet-stream",
    "arrowstream": "application/octet-stream",
    "parquet": "application/octet-stream",
}


@dataclass
class Answer:
    """An HTTP answer.

    An iterator as body is sent in chunks while the query runs. `cleanup` must be closed by whoever sends the answer,
    sent or not: it ends the query and gives back what the query holds.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""
    cleanup: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True)
class Progress:
    """Counts of a finished query, as in X-ClickHouse-Summary."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    def header(self) -> str:
        """JSON with every number as a string, which is ClickHouse's form."""
        counts = {
            "read_rows": self.read_rows,
            "read_bytes": self.read_bytes,
            "written_rows": self.written_rows,
            "written_bytes": self.written_bytes,
            "total_rows_to_read": self.read_rows,
            "result_rows": self.result_rows,
            "result_bytes": self.result_bytes,
            "elapsed_ns": self.elapsed_ns,
        }
        return json.dumps({name: str(count) for name, count in counts.items()}, separators=(",", ":"))


def content_type(result_format: str) -> str:
    """The Content-Type ClickHouse gives a format; plain text for the rest."""
    return _CONTENT_TYPES.get(result_format.lower(), TEXT)


def query_id(wanted: str) -> str:
    """The client's query id when it can stand in a header, else a new one."""
    return wanted if wanted.isascii() and wanted.isprintable() and wanted else str(uuid.uuid4())


def error_answer(error: ClickHouseError) -> Answer:
    """The answer for an error that is known before the first byte is sent."""
    headers = {"Content-Type": TEXT, "X-ClickHouse-Exception-Code": str(error.code)}
    return Answer(error.status, headers, error.text.encode("utf-8", "replace"))


def mid_stream_error(error: ClickHouseError, tag: str) -> bytes:
    """The trailer that tells a client of a started answer that the rest is an error, as ClickHouse since 25.11."""
    text = error.text.encode("utf-8", "replace")
    return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        text,
        len(text),
        tag.encode(),
    )
