"""Files of events in our wire format, NDJSON or CSV -> wire events, one at a time. The API judges what they say.

CSV: the header row holds wire field names; `properties`, `conversation_metadata` and embeddings hold JSON; an empty
cell is an absent field. A cell that is not what its column promises is sent as text, and the API refuses it by name.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from event_analytics.event import EVENT_BYTES_MAX
from scripts.failures import FileUnreadable
from scripts.outgoing import WireEvent

JSON_COLUMNS: Final = frozenset(
    {"properties", "props", "conversation_metadata", "input_embeddings", "output_embeddings"}
)
NUMBER_COLUMNS: Final = frozenset({"latency_ms", "latency"})
TIME_COLUMNS: Final = frozenset({"timestamp", "ts"})
SURPLUS_COLUMN: Final = "cell_without_header"  # no wire field: the API refuses the row as unknown_field
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # spreadsheets put it before the first header


class EventFile:
    """One file of events. `refused` counts, by the API's reason names, the lines that cannot even be sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused: Counter[str] = Counter()

    def __iter__(self) -> Iterator[WireEvent]:
        """The events in file order.

        Raises:
            FileUnreadable: it cannot be opened, is no UTF-8 text, or has no header row.
        """
        try:
            yield from self._read_csv() if self._is_csv() else self._read_lines()
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            raise FileUnreadable(f"{self.path}: {problem}") from problem

    def _is_csv(self) -> bool:
        if self.path.suffix.lower() in (".csv", ".ndjson", ".jsonl"):
            return self.path.suffix.lower() == ".csv"
        with self.path.open("rb") as file:
            return not file.read(1_024).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{")

    def _read_lines(self) -> Iterator[WireEvent]:
        with self.path.open("rb") as file:
            for line in file:
                text = line.removeprefix(BYTE_ORDER_MARK).strip()
                if text:
                    yield from self._read_line(text)

    def _read_line(self, line: bytes) -> Iterator[WireEvent]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            self.refused["json_invalid"] += 1
            return
        if isinstance(event, dict):
            yield event
        else:
            self.refused["event_not_object"] += 1

    def _read_csv(self) -> Iterator[WireEvent]:
        csv.field_size_limit(EVENT_BYTES_MAX)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restkey=SURPLUS_COLUMN)
            if not {"event_name", "type"} & set(rows.fieldnames or ()):
                raise FileUnreadable(f"{self.path}: the first row must name wire fields, event_name among them")
            for row in rows:
                yield {name: _read_cell(name, cell) for name, cell in row.items() if cell}


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


def _or_text(read: Any, cell: str) -> object:
    try:
        return read(cell)
    except (ValueError, RecursionError):
        return cell
