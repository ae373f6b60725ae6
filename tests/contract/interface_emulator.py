"""Runs one function in AWS's own runtime: the Runtime Interface Emulator, awslambdaric and the layers as shipped."""

import http.client
import json
import os
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_runtime.build import LayerTarget, build_third_party_layer
from local_runtime.settings import REPOSITORY, LocalSettings
from tests.aws_tools import find_aws_tool, find_interface_emulator

START_SECONDS_MAX = 20.0  # the emulator listens within 0.1 s; the rest is a busy machine
ANSWER_SECONDS_MAX = 60.0  # a cold start and one retry of a client
STOP_SECONDS_MAX = 10.0
INVOCATION_PATH = "/2015-03-31/functions/function/invocations"


@dataclass(frozen=True)
class Runtime:
    """One function in its runtime. It takes one invocation at a time, as a Lambda environment does."""

    port: int
    log: Path

    def invoke(self, event: Any) -> Any:
        """Return what the function answers; an error is AWS's document with errorType and errorMessage."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request("POST", INVOCATION_PATH, json.dumps(event).encode())
            answer = connection.getresponse().read()
            # The emulator's own word for a function that ran into its timeout, which is no JSON.
            assert not answer.startswith(b"Task timed out"), f"{answer.decode()}\n{self.log.read_text()}"
            return json.loads(answer or b"null")
        finally:
            connection.close()


def unpack_layer(folder: Path) -> Path:
    """Return the third-party layer of this host as Lambda lays it out below /opt."""
    requirements = REPOSITORY / "layers/third_party/requirements.txt"
    cache_dir = LocalSettings.from_env().build_cache_dir
    with zipfile.ZipFile(build_third_party_layer(requirements, LayerTarget.for_this_host(), cache_dir)) as layer:
        layer.extractall(folder)
    return folder / "python"


@contextmanager
def running_function(
    code: Path, third_party: Path, variables: Mapping[str, str], timeout_seconds: int, log: Path
) -> Iterator[Runtime]:
    """Start the function's runtime, hand it out when it listens, and leave no process behind."""
    port, api_port = _free_ports()
    command = [
        str(find_interface_emulator()),
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{api_port}",
        str(find_aws_tool("python")),
        "-m",
        "awslambdaric",
        "app.handler",
    ]
    # The order of Lambda: the function's code first, then the layers.
    path = [code, REPOSITORY / "layers/event_analytics/python", third_party]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": code.name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        **variables,
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=code, env=environment, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            _wait_until_listening(process, port, log)
            yield Runtime(port, log)
        finally:
            _end(process)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nothing listens on {port}:\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # The emulator's child is in the group that start_new_session made: no other process is.
    try:
        os.killpg(process.pid, 15)
        process.wait(STOP_SECONDS_MAX)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        pass
    finally:
        _kill_group(process.pid)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, 9)
    except ProcessLookupError:
        return
