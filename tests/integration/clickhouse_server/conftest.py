"""Starts the ClickHouse server as a process of its own, as the embedded stack does, on a free port."""

import http.client
import os
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import clickhouse_connect
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> str | None:
        return self.headers.get("x-clickhouse-exception-code")


@dataclass
class RunningServer:
    process: subprocess.Popen[str]
    port: int
    ready_line: str
    clients: list[object] = field(default_factory=list)

    def client(self, **options: object):
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, **options)

    def http(self, method: str, query: str = "", body: bytes | None = None, headers=None, **parameters) -> Reply:
        if query:
            parameters["query"] = query
        path = parameters.pop("path", "/") + ("?" + urllib.parse.urlencode(parameters) if parameters else "")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, lowered, response.read())
        finally:
            connection.close()

    def post(self, sql: str, body: bytes = b"", headers=None, **parameters) -> Reply:
        return self.http("POST", sql, body, headers, **parameters)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT_S)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)


def launch(path: Path, *arguments: str, port: int = 0) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "localstack")))}
    command = [sys.executable, "-m", "local_runtime.clickhouse_server", "--path", str(path), "--port", str(port)]
    return subprocess.Popen(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def start(path: Path, *arguments: str) -> RunningServer:
    process = launch(path, *arguments)
    ready_line = process.stdout.readline().strip()
    if not ready_line:
        pytest.fail(f"the server did not start: {process.communicate(timeout=START_TIMEOUT_S)[1]}")
    return RunningServer(process, int(ready_line.rsplit(":", 1)[1]), ready_line)


def end(server: RunningServer) -> None:
    server.stop()
    server.process.stdout.close()
    server.process.stderr.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start(tmp_path_factory.mktemp("clickhouse with a space"))
    yield running
    end(running)


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """Starts further servers and ends them with the tests."""
    started: list[RunningServer] = []

    def start_one(*arguments: str, path: Path | None = None) -> RunningServer:
        started.append(start(path or tmp_path_factory.mktemp("clickhouse"), *arguments))
        return started[-1]

    yield start_one
    for running in started:
        end(running)


@pytest.fixture(scope="session")
def launch_server() -> Callable[..., subprocess.Popen[str]]:
    return launch


@pytest.fixture
def client(server: RunningServer):
    with server.client() as connected:
        yield connected


@pytest.fixture
def table(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of an empty table (id UInt64, name String) of this test alone."""
    name = "t_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[:80]
    server.post(
        f"CREATE TABLE {name} (id UInt64, name String) ENGINE = MergeTree ORDER BY id"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    server.post(f"DROP TABLE {name}")
