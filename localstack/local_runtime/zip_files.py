"""Zips a folder for Lambda: the same files give the same bytes, so that their hash tells whether code changed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

# The oldest time a zip can carry. Real times would give every checkout zips of its own.
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
READABLE_BY_ALL = 0o644 << 16  # Lambda runs as a user of its own
SKIPPED_FOLDERS = frozenset({"__pycache__"})  # of source folders: they hold what the last local run left
COMPRESSION_LEVEL = 6  # zlib's default; 9 saves 1 % more and takes twice as long


def zip_source(folder: Path, prefix: str = "", beside: bytes = b"") -> bytes:
    """Return the zip of a source folder, below `prefix` ("python/" in a layer), without compiled files.

    `beside`: a zip whose files come first.
    """
    buffer = io.BytesIO(beside)
    _write(buffer, ((prefix + name, path.read_bytes()) for path, name in source_files(folder)), "a" if beside else "w")
    return buffer.getvalue()


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """Return the zip of files by name."""
    buffer = io.BytesIO()
    _write(buffer, iter(files.items()))
    return buffer.getvalue()


def source_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """All files of a source folder with their names below it, in order, without compiled ones."""
    return ((path, name) for path, name in _files_of(folder) if not SKIPPED_FOLDERS.intersection(path.parts))


def write_zip(folder: Path, target: Path) -> None:
    """Write the zip of everything below a folder, compiled files too."""
    with target.open("wb") as stream:
        _write(stream, ((name, path.read_bytes()) for path, name in _files_of(folder)))


def _files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """All files below a folder, those of linked folders too: a function's code may link to what it ships."""
    found = (Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names)
    for path in sorted(path for path in found if path.is_file()):
        yield path, path.relative_to(folder).as_posix()


def _write(stream: IO[bytes], files: Iterator[tuple[str, bytes]], mode: Literal["w", "a"] = "w") -> None:
    with zipfile.ZipFile(stream, mode, zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = READABLE_BY_ALL
            archive.writestr(entry, content)
