"""A contract server and clients that are quick to send."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract_server import KEY, ContractServer
from tallystream import Client, Limits, TallystreamError

QUICK = Limits(flush_interval_ms=20, save_interval_ms=5, request_timeout_seconds=5, exit_timeout_seconds=5)


@pytest.fixture
def server() -> Iterator[ContractServer]:
    server = ContractServer()
    yield server
    server.stop()


@pytest.fixture
def errors() -> list[TallystreamError]:
    return []


@pytest.fixture(params=["memory", "disk"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Both ways through a client: a test that asks for this runs twice."""
    return tmp_path / "spool" if request.param == "disk" else False


@pytest.fixture
def make_client(server: ContractServer, errors: list[TallystreamError]) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(**options: Any) -> Client:
        defaults = {"limits": QUICK, "on_error": errors.append, "spool": False}
        client = Client(options.pop("url", server.url), options.pop("key", KEY), **{**defaults, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(0.5)
