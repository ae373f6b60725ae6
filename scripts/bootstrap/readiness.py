"""Sets up what a command needs: one run at a time per checkout, the environments beside each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import installation, machine, progress, settings, steps
from .programs import Programs, SetupRefused
from .steps import Step

FREE_MB_TO_RUN = 500  # what a stack writes in a demo, and room for the system
STATE_FOLDER = ".tallystream"


def ensure(root: Path, wanted: Sequence[Step]) -> None:
    """Set up what is not as the requirement files say; when all is, this needs neither time nor network.

    Raises:
        SetupRefused: this machine or folder cannot have it.
        SetupFailed: pip or venv failed.
    """
    due = steps.find_due_steps(root, wanted)
    free_mb_min = max((step.free_mb_min for step in due), default=FREE_MB_TO_RUN)
    reason = machine.find_refusal(machine.inspect(root), free_mb_min)
    if reason:
        raise SetupRefused(reason)
    if not due:
        return
    with _hold_lock(root) as descriptor, _scratch_folder(root) as scratch_dir:
        due = steps.find_due_steps(root, wanted)  # the run that held the lock may have done it
        if due:
            programs = Programs(root, settings.environment_for_pip(scratch_dir), descriptor)
            _carry_out(root, due, programs)


def _carry_out(root: Path, due: Sequence[Step], programs: Programs) -> None:
    started = time.monotonic()
    names = ", ".join(step.name for step in due)
    print(f"Setting up {names}: up to {sum(step.download_mb for step in due)} MB to download", flush=True)
    with ThreadPoolExecutor(max_workers=len(steps.ALL_STEPS)) as pool:
        try:
            if any(step.venv == steps.PROJECT_VENV for step in due):  # first of all: its pip fills the others
                installation.prepare_venv(root, steps.PROJECT_VENV, programs)
            venvs = dict.fromkeys(step.venv for step in due)
            chains = {venv: [step for step in due if step.venv == venv] for venv in venvs}
            futures = {
                pool.submit(_fill, root, venv, chain, programs): installation.log_path(root, venv)
                for venv, chain in chains.items()
            }
            progress.follow(futures)
        except BaseException:
            programs.stop()
            raise
    progress.tell(f"Set up in {time.monotonic() - started:.0f} s")


def _fill(root: Path, venv: str, chain: Sequence[Step], programs: Programs) -> None:
    if venv != steps.PROJECT_VENV:
        installation.prepare_venv(root, venv, programs)
    for step in chain:
        started = time.monotonic()
        installation.carry_out(root, step, programs)
        progress.tell(f"  {step.name} ({step.purpose}): {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def _hold_lock(root: Path) -> Iterator[int]:
    """Let one run set this checkout up; pip inherits the lock, so one that outlived its run counts."""
    folder = root / STATE_FOLDER
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "setup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is setting up this checkout; waiting for it", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _scratch_folder(root: Path) -> Iterator[Path]:
    folder = root / STATE_FOLDER / "tmp"
    folder.mkdir(exist_ok=True)
    for left_behind in folder.glob("setup-*"):  # by a run that was killed; the lock says that it is gone
        shutil.rmtree(left_behind, ignore_errors=True)
    scratch_dir = Path(tempfile.mkdtemp(prefix="setup-", dir=folder))
    try:
        yield scratch_dir
    finally:
        shutil.rmtree(scratch_dir, ignore_errors=True)
