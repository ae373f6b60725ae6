"""Asks pip-audit about all pins, in processes of its own: it waits for the network, while others compute."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import audit, settings, steps

SECONDS_MAX = 60  # for all answers, from the moment when nothing else is left to do: a registry answers within 20
OPTIONS = ("--vulnerability-service", "pypi", "--progress-spinner", "off", "--disable-pip", "--no-deps")
Call = tuple[Mapping[str, str], "subprocess.Popen[str]"]


@contextmanager
def asking(root: Path, words: Sequence[str] = ()) -> Iterator[list[Call]]:
    """Calls that are under way; `answer_of` takes what they find. None outlives the block."""
    calls: list[Call] = []
    try:
        lists = (path.read_text(encoding="utf-8") for path in steps.find_requirements(root))
        calls.extend((pins, _start(root, pins, words)) for pins in audit.spread_pins(lists))
        yield calls
    finally:
        for _, process in calls:
            process.kill()
            process.communicate()


def answer_of(calls: Sequence[Call], *, is_strict: bool) -> audit.Verdict:
    """The verdict, when all have answered."""
    rounds = []
    deadline = time.monotonic() + SECONDS_MAX
    for pins, process in calls:
        try:
            left = max(0.0, deadline - time.monotonic())
            rounds.append(audit.read_round(pins, *process.communicate(timeout=left)))
        except subprocess.TimeoutExpired:
            rounds.append(audit.Round(pins, (), f"no answer within {SECONDS_MAX} s"))
    return audit.judge(rounds, is_strict=is_strict)


def _start(root: Path, pins: Mapping[str, str], words: Sequence[str]) -> subprocess.Popen[str]:
    python = str(steps.python_of(root, steps.AUDIT_VENV))
    command = [python, "-m", "pip_audit", *OPTIONS, *words, "--format", "json", "--requirement", "/dev/stdin"]
    process = subprocess.Popen(
        command,
        cwd=root,
        env=settings.environment_for_programs(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdin is not None:
        process.stdin.write("".join(f"{name}=={version}\n" for name, version in pins.items()))
        process.stdin.close()
        process.stdin = None  # `communicate` would flush it again
    return process
