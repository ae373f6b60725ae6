#!/usr/bin/env python3
"""Runs one command of this checkout, after setting up what it needs: `python3 scripts/dev.py demo`.

The only file that any Python 3 can read: decides whether this one is new enough; the rest is in `bootstrap`.
"""

import importlib
import shutil
import subprocess
import sys

PYTHON_MIN = (3, 11)  # pyproject.toml: requires-python
PYTHONS_TO_NAME = ("python3.13", "python3.12", "python3.11")
EXIT_REFUSED = 2


def main() -> int:
    """Return the exit code: the command's own, or 2 when this Python cannot run it."""
    if sys.version_info[:2] < PYTHON_MIN:
        sys.stderr.write(describe_old_python(sys.version_info[:2]))
        return EXIT_REFUSED
    return int(importlib.import_module("bootstrap.commands").main(sys.argv[1:]))


def describe_old_python(version: "tuple[int, int]") -> str:
    """Return one line: what is wrong, and the command that works here if another Python is installed."""
    needed = ".".join(map(str, PYTHON_MIN))
    found = next((name for name in PYTHONS_TO_NAME if can_run(name)), None)
    command = " ".join(["scripts/dev.py", *sys.argv[1:]])
    target = sys.argv[1] if len(sys.argv) > 1 else "demo"
    way_out = (
        f"{found} is installed: make {target} PYTHON={found}, or {found} {command}"
        if found
        else f"install Python {needed} to 3.13 and name it: make {target} PYTHON=python3.12"
    )
    return f"Python {needed} or newer is needed, this is {version[0]}.{version[1]}; {way_out}\n"


def can_run(name: str) -> bool:
    """Tell whether the command exists and starts; a version manager's stand-in may exist and not start."""
    path = shutil.which(name)
    if path is None:
        return False
    return subprocess.call([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


if __name__ == "__main__":
    sys.exit(main())
