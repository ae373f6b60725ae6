"""Walks through the running stack: `python -m scripts.walkthrough [--pause SECONDS] [--write]`.

Runs the commands of docs/walkthrough.md in one shell and prints what they print; --pause waits after each, for who
watches; --write puts what was printed into the document.

Exit codes: 0 all commands ran; 1 no stack of this checkout runs, or the commands took too long.
"""

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from threading import Timer
from typing import Final, NamedTuple

from local_runtime.connection import Connection
from local_runtime.settings import REPOSITORY, LocalSettings
from scripts.connection import read_connection
from scripts.failures import GaveUp, ScriptFailed

DOCUMENT: Final = REPOSITORY / "docs" / "walkthrough.md"
SECONDS_MAX: Final = 120.0  # of all commands: a change shows within a minute, whatever happens
_BLOCK: Final = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_COMMAND: Final = re.compile(r"^\$ (.*)\n", re.MULTILINE)
_ENDED: Final = "\x1e"  # ASCII's record separator: no command prints it


class Step(NamedTuple):
    """A command, and what it prints."""

    command: str
    output: str


def read_steps(document: str) -> list[Step]:
    """Commands of all console blocks in order, with the output that stands below each."""
    parts = _COMMAND.split("".join(_BLOCK.findall(document)))[1:]
    return [Step(command, output) for command, output in zip(parts[::2], parts[1::2], strict=True)]


def write_steps(document: str, steps: Sequence[Step]) -> str:
    """The document with what its steps printed."""
    left = iter(steps)

    def render(block: re.Match[str]) -> str:
        here = islice(left, len(_COMMAND.findall(block[0])))
        return "".join(f"$ {step.command}\n{step.output}" for step in here)

    return _BLOCK.sub(render, document)


def environment_of(connection: Connection) -> dict[str, str]:
    """What the commands know of the stack."""
    return {name.upper(): getattr(connection, name) for name in ("api_url", "write_key", "read_key", "admin_key")}


def walk(commands: Iterable[str], environment: Mapping[str, str]) -> Iterator[Step]:
    """Run commands one after another in one shell, each when it is asked for.

    Raises:
        GaveUp: they did not end in time.
    """
    shell = subprocess.Popen(
        ["bash"], cwd=REPOSITORY, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watch = Timer(SECONDS_MAX, shell.kill)
    watch.start()
    try:
        _run(shell, "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items()))
        for command in commands:
            yield Step(command, _run(shell, command))
    finally:
        watch.cancel()
        shell.kill()
        shell.communicate()


def _run(shell: "subprocess.Popen[str]", command: str) -> str:
    if shell.stdin is None or shell.stdout is None:
        raise TypeError("the shell has no pipes")
    shell.stdin.write(f"{command}\nprintf '\\n{_ENDED}\\n'\n")
    printed = ""
    while not printed.endswith(f"{_ENDED}\n"):
        line = shell.stdout.readline()
        if not line:
            raise GaveUp(f"the commands took over {SECONDS_MAX:.0f} s, the last was: {command}")
        printed += line
    text = printed.removesuffix(f"{_ENDED}\n").rstrip("\n")
    return f"{text}\n" if text else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    document = DOCUMENT.read_text("utf-8")
    steps = []
    try:
        connection = read_connection(LocalSettings.from_env().state_dir)
        for step in walk([step.command for step in read_steps(document)], environment_of(connection)):
            print(f"$ {step.command}\n{step.output}", flush=True)
            steps.append(step)
            time.sleep(given.pause)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    if given.write:
        DOCUMENT.write_text(write_steps(document, steps), "utf-8")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after each command")
    parser.add_argument("--write", action="store_true", help="put what is printed into docs/walkthrough.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
