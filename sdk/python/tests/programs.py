"""Runs a small program with the package in a process of its own, on this interpreter or another."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def start_program(code: str, *arguments: object, python: str = sys.executable) -> "subprocess.Popen[str]":
    """A running program; `arguments` are its `sys.argv[1:]`."""
    return subprocess.Popen(
        [python, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_program(code: str, *arguments: object, python: str = sys.executable, seconds: float = 30) -> str:
    """What it printed; fails when it does not end well."""
    with start_program(code, *arguments, python=python) as program:
        out, err = program.communicate(timeout=seconds)
    assert program.returncode == 0, out + err
    assert "Traceback" not in err, err
    assert "Warning" not in err, err
    return out
