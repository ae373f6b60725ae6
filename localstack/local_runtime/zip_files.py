"""Zips a folder for Lambda: the same files give the same bytes, so that their hash tells whether code changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# The oldest time a zip can carry. Real times would give every checkout zips of its own.
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
READABLE_BY_ALL = 0o644 << 16  # Lambda runs as a user of its own
SKIPPED_FOLDERS = frozenset({"__pycache__"})  # of source folders: they hold what the last local run left
COMPRESSION_LEVEL = 6  # zlib's default; 9 saves 1 % more and takes twice as long


def zip_source(folder: Path, prefix: str = "") -> bytes:
    """Return the zip of a source folder, below `prefix` ("python/" in a layer), without compiled files."""
    buffer = io.BytesIO()
    files = ((path, name) for path, name in _files_of(folder) if not SKIPPED_FOLDERS.intersection(path.parts))
    _write(buffer, ((path, prefix + name) for path, name in files))
    return buffer.getvalue()


def write_zip(folder: Path, target: Path) -> None:
    """Write the zip of everything below a folder, compiled files too."""
    with target.open("wb") as stream:
        _write(stream, _files_of(folder))


def _files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.relative_to(folder).as_posix()


def _write(stream: IO[bytes], files: Iterator[tuple[Path, str]]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for path, name in files:
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = READABLE_BY_ALL
            archive.writestr(entry, path.read_bytes())
