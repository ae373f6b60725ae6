"""A stack of trivial parts, to hold the supervisor to its promises in seconds; as a file, its commands."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from local_runtime import __main__ as commands
from local_runtime.connection import Connection
from local_runtime.parts import Part
from local_runtime.settings import LocalSettings

PART = Path(__file__).with_name("trivial_part.py")


@dataclass
class TrivialBlueprint:
    """Behaviour of each part by name; notes what it was asked to do, in order."""

    behaviours: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails_to_prepare: bool = False

    def describe_foundation(self, settings, scratch_dir):
        return (
            self._describe("aws", settings.aws_port, scratch_dir),
            self._describe("kafka", settings.kafka_port, scratch_dir),
        )

    def prepare(self, settings, boot_id, report):
        self.calls.append("prepare")
        if self.fails_to_prepare:
            raise RuntimeError("the template is wrong")
        return Connection(
            api_url=f"http://127.0.0.1:{settings.aws_port}",
            write_key="w",
            read_key="r",
            admin_key="a",
            kafka=settings.kafka_bootstrap,
            clickhouse_url=settings.clickhouse_url,
            aws_endpoint=settings.aws_endpoint,
            archive_bucket="archive",
            stack_name=settings.stack_name,
            trigger_status_url=settings.trigger_status_url,
            kafka_durability="memory",
        )

    def describe_consumers(self, settings, scratch_dir):
        return (self._describe("trigger", settings.trigger_port, scratch_dir),)

    def drain(self, settings, report):
        self.calls.append("drain")

    def _describe(self, name, port, scratch_dir):
        return Part(
            name=name,
            command=(sys.executable, str(PART), str(port), self.behaviours.get(name, "serves")),
            environment={"TMPDIR": str(scratch_dir)},
            port=port,
            health=f"http://127.0.0.1:{port}/",
            start_seconds_max=1.5 if self.behaviours.get(name) == "never-serves" else 20.0,
            stop_seconds_max=0.5 if self.behaviours.get(name) == "ignores-sigterm" else 10.0,
        )


def main(command: str, state_dir: str, behaviours: str = "{}") -> int:
    settings = LocalSettings.from_env(
        {f"TALLYSTREAM_{name}_PORT": "0" for name in ("AWS", "KAFKA", "CLICKHOUSE", "TRIGGER")}
        | {"TALLYSTREAM_STATE_DIR": state_dir}
    )
    if command == "up":
        return commands.up(settings, TrivialBlueprint(json.loads(behaviours)))
    return {"down": commands.down, "status": commands.status}[command](settings)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
