"""What a person may decide about the embedded stack: its ports, where its state lies, which MiniStack.

The only module of this package that reads the environment. Whether a port is free is decided in `ports`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Field of LocalSettings -> (environment variable, default).
PORT_SETTINGS: Mapping[str, tuple[str, int]] = {
    "aws_port": ("TALLYSTREAM_AWS_PORT", 4566),
    "kafka_port": ("TALLYSTREAM_KAFKA_PORT", 9092),
    "clickhouse_port": ("TALLYSTREAM_CLICKHOUSE_PORT", 8123),
    "trigger_port": ("TALLYSTREAM_TRIGGER_PORT", 9464),
}
PORT_MAX = 65535  # a TCP port is 16 bits
KAFKA_MEMORY, KAFKA_S3 = "memory", "s3"

# All that a part inherits from the person's shell. The rest stays out: MiniStack hands its own environment to
# every function, so a proxy, an AWS profile or a PYTHONPATH would change what the functions do.
INHERITED_NAMES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class InvalidSettings(ValueError):  # noqa: N818 - a name, not a grade
    """One or more settings cannot be used; the message has a line for each."""


@dataclass(frozen=True)
class LocalSettings:
    """One embedded stack, before it is started. A port of 0 means: any free one.

    `parameters`: values of the template's parameters that are not the local ones.
    """

    state_dir: Path
    ministack_venv: Path
    aws_port: int
    kafka_port: int
    clickhouse_port: int
    trigger_port: int
    inherited: Mapping[str, str] = field(default_factory=dict)
    repository: Path = REPOSITORY
    stack_name: str = "tallystream"
    kafka_storage: str = KAFKA_MEMORY
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> LocalSettings:
        """Return the settings of this shell, or of the given mapping.

        Relative paths start at the repository, so that every command of a checkout means the same stack.

        Raises:
            InvalidSettings: with every setting that cannot be used, not only the first.
        """
        values = os.environ if environment is None else environment
        problems: list[str] = []
        ports = {
            name: _read_port(values, variable, default, problems) for name, (variable, default) in PORT_SETTINGS.items()
        }
        problems += _find_shared_ports(ports)
        kafka_storage = values.get("TALLYSTREAM_KAFKA_STORAGE") or KAFKA_MEMORY
        if kafka_storage not in {KAFKA_MEMORY, KAFKA_S3}:
            problems.append(f"TALLYSTREAM_KAFKA_STORAGE={kafka_storage!r} is unknown: use {KAFKA_MEMORY} or {KAFKA_S3}")
        parameters = _read_parameters(values.get("TALLYSTREAM_PARAMETERS") or "", problems)
        if problems:
            raise InvalidSettings("\n".join(problems))
        shared_dir = REPOSITORY / ".tallystream"
        return cls(
            state_dir=REPOSITORY / (values.get("TALLYSTREAM_STATE_DIR") or shared_dir),
            ministack_venv=REPOSITORY / (values.get("TALLYSTREAM_MINISTACK_VENV") or shared_dir / "venvs/ministack"),
            inherited={name: values[name] for name in INHERITED_NAMES if name in values},
            aws_port=ports["aws_port"],
            kafka_port=ports["kafka_port"],
            clickhouse_port=ports["clickhouse_port"],
            trigger_port=ports["trigger_port"],
            kafka_storage=kafka_storage,
            parameters=parameters,
        )

    @property
    def build_cache_dir(self) -> Path:
        """Where built layers are kept: one for all stacks of a checkout, as a build outlasts a start."""
        return self.repository / ".tallystream" / "build"

    @property
    def aws_endpoint(self) -> str:
        """Base URL of the AWS emulator."""
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def kafka_bootstrap(self) -> str:
        """Address of the broker, as Kafka clients take it."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def kafka_durability(self) -> str:
        """What an acknowledgement of the broker survives, in the words of `/health`."""
        return "disk" if self.kafka_storage == KAFKA_S3 else "memory"

    @property
    def clickhouse_url(self) -> str:
        """Base URL of the ClickHouse server."""
        return f"http://127.0.0.1:{self.clickhouse_port}"

    @property
    def trigger_status_url(self) -> str:
        """Where the Kafka trigger tells its health and its lag."""
        return f"http://127.0.0.1:{self.trigger_port}"


def _read_parameters(text: str, problems: list[str]) -> dict[str, str]:
    pairs = [pair.strip().partition("=") for pair in text.split(";") if pair.strip()]
    problems += [f"TALLYSTREAM_PARAMETERS: {name!r} has no value" for name, sign, _ in pairs if not (name and sign)]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_port(values: Mapping[str, str], variable: str, default: int, problems: list[str]) -> int:
    text = values.get(variable) or str(default)
    if text.isascii() and text.isdigit() and int(text) <= PORT_MAX:
        return int(text)
    problems.append(f"{variable}={text!r} is no port: use 1 to {PORT_MAX}, or 0 for any free port")
    return default


def _find_shared_ports(ports: Mapping[str, int]) -> list[str]:
    owners: dict[int, str] = {}
    problems = []
    for name, port in ports.items():
        variable = PORT_SETTINGS[name][0]
        if port and port in owners:
            problems.append(f"{owners[port]} and {variable} are both {port}: each part needs a port of its own")
        owners.setdefault(port, variable)
    return problems
