"""Where a run over a file stood when it was cut off, in a small file beside it.

That it is still the same file is seen by a hash of all that was settled: what was written behind it meanwhile is sent.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from tallystream.cli.files import Row

SUFFIX: Final = ".progress"


@dataclass(frozen=True)
class Reached:
    """`watermark`: every line up to this number is settled. `started_ms`: when the first run began, Unix ms.

    `digest`: of the lines up to the watermark. `refused`: how many of them were, by reason.
    """

    url: str
    started_ms: int
    watermark: int = 0
    digest: str = ""
    refused: Mapping[str, int] = field(default_factory=dict)


class Prefix:
    """What lines up to a number hash to, as far as they have been added; asked in ascending order."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._digests: deque[tuple[int, str]] = deque([(0, "")])

    def add(self, row: Row) -> None:
        """The next line."""
        self._hash.update(f"{row.number} {row.event} {row.text}\n".encode("utf-8", "surrogatepass"))
        self._digests.append((row.number, self._hash.hexdigest()))

    def up_to(self, number: int) -> str:
        """The hash of the last line up to a number; what lies before it is forgotten."""
        while len(self._digests) > 1 and self._digests[1][0] <= number:
            self._digests.popleft()
        return self._digests[0][1]


class ProgressFile:
    """Beside the file it is about; it cannot be had for the standard input or in a folder without right to write."""

    def __init__(self, path: Path, progress: Reached) -> None:
        self._path = path
        self.progress = progress

    @classmethod
    def open(cls, file: Path, fresh: Reached, rows: Iterable[Row] | None) -> ProgressFile:
        """Goes on where the last run over `rows`, the lines of the file, stopped; for None it begins at the start.

        Raises:
            FileUnreadable: as reading it.
        """
        path = file.with_name(file.name + SUFFIX)
        found = None if rows is None else _read(path)
        if found is None or rows is None or found.url != fresh.url or not _begins_as(rows, found):
            return cls(path, fresh)
        return cls(path, found)

    def note(self, watermark: int, digest: str, refused: Counter[str]) -> bool:
        """Whether it could be written that every line up to here is settled, and how many of them were refused."""
        if watermark > self.progress.watermark:
            self.progress = replace(self.progress, watermark=watermark, digest=digest, refused=dict(refused))
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.write_text(json.dumps(asdict(self.progress)), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """The run is complete."""
        self._path.unlink(missing_ok=True)


def _begins_as(rows: Iterable[Row], found: Reached) -> bool:
    """Whether the lines up to the watermark are those that were settled."""
    prefix = Prefix()
    for row in rows:
        if row.number > found.watermark:
            break
        prefix.add(row)
    return prefix.up_to(found.watermark) == found.digest


def _read(path: Path) -> Reached | None:
    try:
        return Reached(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
