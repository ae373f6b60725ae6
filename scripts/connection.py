"""Finds the stack of this checkout that already runs. Starting one is `local_runtime`'s, its file as well."""

from pathlib import Path
from typing import Final

from local_runtime.connection import FILE_NAME, Connection
from scripts.failures import NotRunning
from scripts.http_calls import HttpCaller, NoAnswer

HEALTH_TIMEOUT_SECONDS: Final = 5.0  # the first call starts a worker; later ones take milliseconds
HTTP_OK: Final = 200


def read_connection(state_dir: Path) -> Connection:
    """The connection of the stack whose state lies in `state_dir`, whether it still answers or not.

    Raises:
        NotRunning: there is no such file, or it cannot be used.
    """
    try:
        connection = Connection.read(state_dir)
    except (OSError, ValueError) as problem:
        path = state_dir / FILE_NAME
        raise NotRunning(f"{path} cannot be used ({problem}): `make down`, then `make up`") from problem
    if connection is None:
        raise NotRunning("no stack of this checkout runs: start one with `make up`")
    return connection


def find_running(state_dir: Path) -> Connection | None:
    """The connection of the stack that runs on this state directory and answers; None where there is none."""
    try:
        connection = read_connection(state_dir)
    except NotRunning:
        return None
    return connection if is_answering(connection.api_url) else None


def is_answering(api_url: str) -> bool:
    """Whether `GET /health` answers 200 at this address."""
    caller = HttpCaller(api_url, timeout_seconds=HEALTH_TIMEOUT_SECONDS)
    try:
        return caller.call("GET", "/health").status == HTTP_OK
    except NoAnswer:
        return False
    finally:
        caller.close()
