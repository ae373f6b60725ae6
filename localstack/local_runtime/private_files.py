"""JSON files that only their owner may read and that are never seen half written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_private_json(path: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step, readable and writable by its owner only."""
    handle, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise


def read_private_json(path: Path) -> dict[str, Any] | None:
    """Return the content, or None where there is no such file.

    Raises:
        ValueError: when the file holds anything but one JSON object; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} should hold one JSON object")  # noqa: TRY004 - the value is wrong, not the call
    return content
