"""`infrastructure/stages/<name>.toml` -> what a person decided about a stage."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.deploy.stacks import STACKS
from scripts.failures import ScriptFailed

FOLDER: Final = Path("infrastructure/stages")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")  # part of names of stacks and of a bucket
_OWN_NAMES: Final = {"region", "stacks"}
_BUCKET_CHARACTERS_MAX: Final = 63  # S3's limit; the archive's name holds those of stage, account and region
_ACCOUNT: Final = "0" * 12


class StageUnusable(ScriptFailed):
    """The stage's file is missing, or says something that no stack understands."""


@dataclass(frozen=True)
class Stage:
    """A stage. `stacks` in the order of their deployment; `parameters`: stack -> its parameters that were set."""

    name: str
    region: str
    stacks: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, str]]

    def stack_name(self, stack: str) -> str:
        """CloudFormation's name of a stack. The one with the code has the shortest: functions are named after it."""
        prefix = f"tallystream-{self.name}"
        return prefix if stack == "tallystream" else f"{prefix}-{stack}"


def read_stage(repository: Path, name: str) -> Stage:
    """The stage of that name.

    Raises:
        StageUnusable: with what is wrong, and what would be right.
    """
    if not _NAME.fullmatch(name):
        raise StageUnusable(f"{name!r} is no name of a stage: up to 20 lower-case letters, digits and hyphens")
    path = repository / FOLDER / f"{name}.toml"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise StageUnusable(f"there is no {FOLDER / path.name}: copy {FOLDER}/example.toml and edit it") from None
    except tomllib.TOMLDecodeError as error:
        raise StageUnusable(f"{FOLDER / path.name}: {error}") from error
    wanted = content.get("stacks", ())
    unknown = sorted(({*wanted} | content.keys() - _OWN_NAMES) - STACKS.keys())
    if unknown or "region" not in content:
        what = f"there is no stack {unknown[0]}" if unknown else "it names no region"
        raise StageUnusable(f"{FOLDER / path.name}: {what}; stacks are {', '.join(STACKS)}")
    region = str(content["region"])
    room = _BUCKET_CHARACTERS_MAX - len(f"tallystream--store-archive-{_ACCOUNT}-{region}")
    if len(name) > room:
        raise StageUnusable(
            f"{name!r} is too long: in {region} the name of the archive's bucket leaves {room} characters"
        )
    return Stage(
        name=name,
        region=region,
        stacks=tuple(stack for stack in STACKS if stack in wanted),
        parameters={stack: _texts_of(content.get(stack, {})) for stack in STACKS},
    )


def _texts_of(table: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in table.items()}
