"""Which API, and with which key: options, then the environment, then the stack of the checkout one stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tallystream.arguments import check_key, check_url
from tallystream.environment import KEY, URL, setting

CONNECTION_FILE: Final = Path(".tallystream") / "connection.json"

Scope = Literal["write", "read"]


class TargetMissing(Exception):  # noqa: N818 - said to a person, never caught twice
    """There is no URL, or no key."""


class Target(NamedTuple):
    """Where to. `origin`: who said so, for the doctor."""

    url: str
    key: str
    origin: str


def find_target(url: str | None, key: str | None, scope: Scope, folder: Path | None = None) -> Target:
    """The target of a command that needs the scope. `folder`: where to look for a running stack; default: here.

    Raises:
        TargetMissing: nobody says which.
    """
    found_url, found_key = url or setting(URL), key or setting(KEY)
    try:
        found_url, found_key = found_url and check_url(found_url), found_key and check_key(found_key)
    except ValueError as problem:
        raise TargetMissing(str(problem)) from None
    if found_url and found_key:
        return Target(found_url, found_key, "options" if url or key else "environment")
    for path in _connection_files(folder or Path.cwd()):
        connection = _read_connection(path)
        local_url, local_key = connection.get("api_url", ""), connection.get(f"{scope}_key", "")
        if local_url and local_key:
            return Target(found_url or local_url, found_key or local_key, str(path))
    missing = [name for name, value in ((URL, found_url), (KEY, found_key)) if not value]
    raise TargetMissing(f"give --url and --key, or set {' and '.join(missing)}, or stand in a checkout with `make up`")


def _connection_files(folder: Path) -> Iterator[Path]:
    for parent in (folder, *folder.parents):
        if (parent / CONNECTION_FILE).is_file():
            yield parent / CONNECTION_FILE


def _read_connection(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: str(value) for name, value in document.items()} if isinstance(document, dict) else {}
