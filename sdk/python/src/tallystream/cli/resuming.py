"""Where a run over a file stood when it was cut off, in a small file beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

SUFFIX: Final = ".progress"
_HEAD_BYTES: Final = 65_536  # what is compared to see that it is still the same file


@dataclass(frozen=True)
class Progress:
    """`watermark`: every line up to this number is settled. `started_ms`: when the first run began, Unix ms."""

    url: str
    head: str
    started_ms: int
    watermark: int = 0


class ProgressFile:
    """Beside the file it is about; it cannot be had for the standard input or in a folder without right to write."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self.progress = progress

    @classmethod
    def open(cls, file: Path, url: str, now_ms: int, *, from_start: bool) -> ProgressFile:
        """Goes on where the last run over this file to this API stopped, unless it is to begin at the start."""
        fresh = Progress(url, _hash_head(file), now_ms)
        path = file.with_name(file.name + SUFFIX)
        found = None if from_start else _read(path)
        is_same = found is not None and (found.url, found.head) == (fresh.url, fresh.head)
        return cls(path, found if found is not None and is_same else fresh)

    def note(self, watermark: int) -> bool:
        """Whether it could be written that every line up to here is settled."""
        self.progress = replace(self.progress, watermark=max(watermark, self.progress.watermark))
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


def _read(path: Path) -> Progress | None:
    try:
        return Progress(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _hash_head(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.sha256(source.read(_HEAD_BYTES)).hexdigest()
