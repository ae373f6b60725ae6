"""Removes what setting up, building and testing left in the checkout. Events and keys stay unless named."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import settings, steps
from .programs import SetupRefused

MADE = (
    steps.PROJECT_VENV,
    ".tallystream/venvs",
    ".tallystream/build",
    ".tallystream/tmp",
    ".aws-sam",
    "build",  # screenshots of the browser tests
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
)
STACK_LOCK = "stack.lock"  # held by the running stack for as long as it lives


def clean(root: Path, words: Sequence[str]) -> int:
    """Remove it all, with `--all` the stack's state too.

    Raises:
        SetupRefused: the stack runs; it would lose its programs under it.
    """
    state = settings.state_dir(root)
    if is_stack_running(state):
        raise SetupRefused("the stack of this checkout runs: stop it first (make down)")
    with_state = "--all" in words
    for folder in [root / name for name in MADE] + ([state] if with_state else []):
        shutil.rmtree(folder, ignore_errors=True)
    for cache in find_bytecode(root):
        shutil.rmtree(cache, ignore_errors=True)
    if state.exists():
        print(f"The stack's events, keys and logs are still in {state}; make clean ALL=1 removes them too")
    return 0


def is_stack_running(state: Path) -> bool:
    """Tell whether a stack holds the lock of this state directory."""
    try:
        descriptor = os.open(state / STACK_LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def find_bytecode(root: Path) -> list[Path]:
    """Return the bytecode folders of the checkout's own packages."""
    return [path for path in root.rglob("__pycache__") if path.is_dir() and ".git" not in path.parts]
