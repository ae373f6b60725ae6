"""Files of events, NDJSON or CSV -> wire events with their line numbers, one at a time. The API judges what they say.

CSV: the header row holds wire field names; `properties`, `conversation_metadata` and embeddings hold JSON; an empty
cell is an absent field. A cell that is not what its column promises is sent as text, and the API refuses it by name.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from tallystream.encoding import EVENT_BYTES_MAX

STDIN: Final = "-"
JSON_COLUMNS: Final = frozenset(
    {"properties", "props", "conversation_metadata", "input_embeddings", "output_embeddings"}
)
NUMBER_COLUMNS: Final = frozenset({"latency_ms", "latency"})
TIME_COLUMNS: Final = frozenset({"timestamp", "ts"})
SURPLUS_COLUMN: Final = "cell_without_header"  # no wire field: the API refuses the row as unknown_field
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # spreadsheets put it before the first header
_ESCAPED_BYTE: Final = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of a byte that is no UTF-8
_SUFFIXES: Final = {".csv": True, ".ndjson": False, ".jsonl": False}


class FileUnreadable(Exception):  # noqa: N818 - said to a person, never caught twice
    """It cannot be opened or unpacked, or has no header row."""


class Row(NamedTuple):
    """One event of a file. `event` is None where the line is none, and `reason` says why, in the API's words."""

    number: int
    event: dict[str, Any] | None
    reason: str = ""
    text: str = ""


def read_rows(name: str) -> Iterator[Row]:
    """The events of a file in its order; `-` is the standard input. `.gz` is unpacked.

    Raises:
        FileUnreadable: as its name says.
    """
    try:
        with _open(name) as file:
            yield from _read_csv(file) if _is_csv(name, file) else _read_lines(file)
    except (OSError, EOFError, zlib.error, csv.Error) as problem:
        raise FileUnreadable(f"{name}: {problem}") from problem


def _open(name: str) -> io.BufferedReader:
    if name == STDIN:
        return io.BufferedReader(sys.stdin.buffer)  # type: ignore[arg-type] # it has `read` and `peek`
    return io.BufferedReader(gzip.open(name)) if name.endswith(".gz") else Path(name).open("rb")


def _is_csv(name: str, file: io.BufferedReader) -> bool:
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    return not file.peek(1_024).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{")


def _read_lines(file: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        text = line.removeprefix(BYTE_ORDER_MARK).strip()
        if text:
            yield _read_line(number, text)


def _read_line(number: int, line: bytes) -> Row:
    text = line.decode("utf-8", "replace")
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return Row(number, None, "json_invalid", text)
    return Row(number, event) if isinstance(event, dict) else Row(number, None, "event_not_object", text)


def _read_csv(file: io.BufferedReader) -> Iterator[Row]:
    csv.field_size_limit(EVENT_BYTES_MAX)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_table(csv.DictReader(text, restkey=SURPLUS_COLUMN))
    finally:
        text.detach()  # whoever opened the file closes it


def _read_table(rows: csv.DictReader[str]) -> Iterator[Row]:
    if not {"event_name", "type"} & set(rows.fieldnames or ()):
        raise csv.Error("the first row must name wire fields, event_name among them")
    for row in rows:
        if _is_text(row):
            yield Row(rows.line_num, {name: _read_cell(name, cell) for name, cell in row.items() if cell})
        else:
            yield Row(
                rows.line_num,
                None,
                "text_invalid",
                ",".join(map(str, row.values())).encode("utf-8", "replace").decode(),
            )


def _is_text(row: dict[str, Any]) -> bool:
    """Whether every byte of it was UTF-8."""
    return not _ESCAPED_BYTE.search("".join(map(str, row.values())))


def _read_cell(name: str, cell: Any) -> object:
    if not isinstance(cell, str):
        return cell
    if name in TIME_COLUMNS:
        return int(cell) if cell.isascii() and cell.isdigit() else cell
    if name in NUMBER_COLUMNS:
        return _or_text(float, cell)
    if name in JSON_COLUMNS and cell.lstrip()[:1] in ("{", "["):
        return _or_text(json.loads, cell)
    return cell


def _or_text(read: Callable[[str], object], cell: str) -> object:
    try:
        return read(cell)
    except (ValueError, RecursionError):
        return cell
