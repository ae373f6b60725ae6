"""How scripts and people reach the running stack: the file `connection.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from local_runtime.private_files import read_private_json, write_private_json

FILE_NAME = "connection.json"


@dataclass(frozen=True)
class Connection:
    """Addresses and keys of one running stack. The keys are secrets: the file is its owner's only."""

    api_url: str
    write_key: str
    read_key: str
    admin_key: str
    kafka: str
    clickhouse_url: str
    aws_endpoint: str
    archive_bucket: str
    stack_name: str
    trigger_status_url: str
    kafka_durability: str

    def write(self, state_dir: Path) -> None:
        """Write the file in one step, so that a reader sees the old one, the new one or none."""
        write_private_json(state_dir / FILE_NAME, asdict(self))

    @classmethod
    def read(cls, state_dir: Path) -> Connection | None:
        """Return the connection of the stack that runs on this state directory, or None.

        Raises:
            ValueError: when the file lacks a name; fields of a newer version are ignored.
        """
        content = read_private_json(state_dir / FILE_NAME)
        if content is None:
            return None
        missing = [field.name for field in fields(cls) if field.name not in content]
        if missing:
            raise ValueError(f"{state_dir / FILE_NAME} lacks {', '.join(missing)}")
        return cls(**{field.name: str(content[field.name]) for field in fields(cls)})
