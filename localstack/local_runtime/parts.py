"""What each part of the embedded stack is: its command, its environment, how it says it is ready.

Only describes; `process` starts and stops, `stack` decides the order.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_runtime import aws_endpoint
from local_runtime.settings import KAFKA_S3, LocalSettings

HEALTH_TIMEOUT_SECONDS = 1.0  # a part on this machine that takes longer to answer is not ready
START_SECONDS_MAX = 60.0  # the slowest part needs 3 s; this leaves room for a cold disk and a busy machine
TRIGGER_STOP_SECONDS_MAX = 16.0  # 8 s for batches in flight, 6 s to commit to a broker that may be gone
STOP_SECONDS_MAX = 10.0  # the broker takes 2 s to end and ClickHouse closes its files; then SIGKILL
HTTP_OK = 200


@dataclass(frozen=True)
class Part:
    """One child process. `health` is an `http://` URL that answers 200, or `tcp://host:port` that accepts."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    health: str
    start_seconds_max: float = START_SECONDS_MAX
    stop_seconds_max: float = STOP_SECONDS_MAX


def is_healthy(health: str) -> bool:
    """Ask a part once whether it serves."""
    address = urllib.parse.urlsplit(health)
    host, port = address.hostname or "", address.port or 0
    try:
        if address.scheme == "tcp":
            socket.create_connection((host, port), HEALTH_TIMEOUT_SECONDS).close()
            return True
        # Not urllib: it would obey a proxy of the environment even for this machine.
        connection = http.client.HTTPConnection(host, port, timeout=HEALTH_TIMEOUT_SECONDS)
        try:
            connection.request("GET", address.path or "/")
            return connection.getresponse().status == HTTP_OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def describe_ministack(settings: LocalSettings, scratch_dir: Path) -> Part:
    """Return the AWS emulator. S3 objects are on disk under the state directory and survive it."""
    environment = _clean_environment(settings, scratch_dir) | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.aws_port),
        # Both would listen on every interface, whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(settings.state_dir / "s3"),
    }
    return Part(
        name="ministack",
        # -P: none of our modules beside the script stands before one of the same name.
        command=(str(settings.ministack_venv / "bin" / "python"), "-P", aws_endpoint.__file__),
        environment=environment,
        port=settings.aws_port,
        health=f"{settings.aws_endpoint}/_ministack/health",
    )


def describe_kafka(settings: LocalSettings, scratch_dir: Path) -> Part:
    """Return the broker. On memory it starts empty, at offset 0; on S3 it goes on where it was, however it ended."""
    from local_runtime import tansu

    if settings.kafka_storage == KAFKA_S3:
        broker = tansu.broker_command(settings.kafka_port, tansu.S3_STORAGE)
        endpoint = ("--endpoint-url", settings.aws_endpoint)
        command = (sys.executable, "-m", "local_runtime.durable_broker", *endpoint, "--", *broker)
        environment = _own_environment(settings, scratch_dir) | tansu.s3_environment(settings.aws_endpoint)
    else:
        command = tuple(tansu.broker_command(settings.kafka_port))
        environment = _clean_environment(settings, scratch_dir)
    return Part(
        name="kafka",
        command=command,
        environment=environment,
        port=settings.kafka_port,
        health=f"tcp://{settings.kafka_bootstrap}",
    )


def describe_clickhouse(settings: LocalSettings, scratch_dir: Path) -> Part:
    """Return the ClickHouse server; its tables are on disk under the state directory."""
    path = str(settings.state_dir / "clickhouse")
    arguments = ("--path", path, "--port", str(settings.clickhouse_port))
    return Part(
        name="clickhouse",
        command=(sys.executable, "-m", "local_runtime.clickhouse_server", *arguments),
        environment=_own_environment(settings, scratch_dir),
        port=settings.clickhouse_port,
        health=f"{settings.clickhouse_url}/ping",
    )


def describe_trigger(settings: LocalSettings, scratch_dir: Path) -> Part:
    """Return the Kafka trigger; it needs the deployed stack and its topics."""
    arguments = {
        "--template": str(settings.repository / "template.yaml"),
        "--stack-name": settings.stack_name,
        "--endpoint-url": settings.aws_endpoint,
        "--bootstrap-servers": settings.kafka_bootstrap,
        "--kafka": "tansu",
        "--status-port": str(settings.trigger_port),
    }
    flat = [word for pair in arguments.items() for word in pair]
    return Part(
        name="trigger",
        command=(sys.executable, "-m", "local_runtime.kafka_trigger", *flat),
        environment=_own_environment(settings, scratch_dir),
        port=settings.trigger_port,
        health=f"{settings.trigger_status_url}/ready",
        stop_seconds_max=TRIGGER_STOP_SECONDS_MAX,
    )


def _clean_environment(settings: LocalSettings, scratch_dir: Path) -> dict[str, str]:
    return {
        **settings.inherited,
        # A home of the stack's own: ~/.aws of whoever starts it would reach botocore in every function.
        "HOME": str(scratch_dir),
        "TMPDIR": str(scratch_dir),
        "TZ": "UTC",  # as in Lambda
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }


def _own_environment(settings: LocalSettings, scratch_dir: Path) -> dict[str, str]:
    roots = ("", "localstack", "layers/event_analytics/python")
    python_path = os.pathsep.join(str(settings.repository / root) for root in roots)
    return _clean_environment(settings, scratch_dir) | {"PYTHONPATH": python_path}
