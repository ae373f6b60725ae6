"""Carries out steps: makes virtual environments and lets pip fill them; a cut run leaves nothing half done.

An environment that is being changed has a mark beside it; the stamp is written last. A run that finds it
builds the environment anew (pip's cache has what was downloaded before). What is due is decided in `steps`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from . import settings, steps
from .programs import Programs, SetupFailed, SetupRefused, describe_failure
from .progress import tell
from .steps import Step

# The lists are complete and exact, so pip resolves nothing. Only wheels, as a bare machine has no compiler;
# the one package without a wheel is pure Python, and what builds it is installed first.
PIP_INSTALL = (
    "install",
    "--no-deps",
    "--no-build-isolation",
    "--use-pep517",
    "--only-binary=:all:",
    "--no-binary=localstack-client",
    "--progress-bar=off",
)
IDENTITY_FILE = ".python"


def prepare_venv(root: Path, venv: str, programs: Programs) -> None:
    """Make the environment when it is missing, cut off or of another Python; afterwards it carries the mark.

    Raises:
        SetupRefused: the folder was made by the person and does not fit.
        SetupFailed: venv failed.
    """
    folder, mark, python = root / venv, steps.building_mark(root, venv), steps.python_of(root, venv)
    identity = folder / IDENTITY_FILE
    if folder.exists() and not mark.exists() and not identity.exists():
        check_foreign_venv(folder)
    elif mark.exists() or not python.exists() or identity.read_text(encoding="utf-8") != steps.python_identity():
        shutil.rmtree(folder, ignore_errors=True)
    log = log_path(root, venv)
    for path in (log, mark):
        path.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    if not python.exists():
        # One pip serves all: the others are filled from the project's environment.
        options = [] if venv == steps.PROJECT_VENV else ["--without-pip"]
        programs.run_or_fail([_base_python(), "-m", "venv", *options, str(folder)], log, f"making {venv}")
    if venv == steps.PROJECT_VENV and not any(folder.glob("lib/python*/site-packages/pip")):
        programs.run_or_fail([str(python), "-m", "ensurepip"], log, f"adding pip to {venv}")
    identity.write_text(steps.python_identity(), encoding="utf-8")


def carry_out(root: Path, step: Step, programs: Programs) -> None:
    """Install a step's lists into its prepared environment, then write the stamp and take the mark away.

    Raises:
        SetupFailed: pip, or the step's program, failed every time.
    """
    mark = steps.building_mark(root, step.venv)
    mark.touch()
    for group in step.requirements:
        arguments = [word for name in group for word in ("-r", str(root / name))]
        if step.installs_checkout and group is step.requirements[-1]:
            arguments += ["-e", str(root)]
        _install(root, step, arguments, programs)
    if step.program:
        _run_program(root, step, programs)
    steps.stamp_path(root, step).write_text(steps.stamp_of(root, step), encoding="utf-8")
    mark.unlink()


def log_path(root: Path, venv: str) -> Path:
    """Return where pip's words go: setup.log for the project's environment, one beside it for each other."""
    suffix = "" if venv == steps.PROJECT_VENV else f"-{Path(venv).name}"
    return root / ".tallystream" / "logs" / f"setup{suffix}.log"


def check_foreign_venv(folder: Path) -> None:
    """Accept an environment that the person made when it fits; it is never deleted.

    Raises:
        SetupRefused: it is no virtual environment, or one of another Python version.
    """
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        raise SetupRefused(
            f"{folder} exists and is no virtual environment: move it away, then run this again"
        ) from None
    values = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    found = values.get("version") or values.get("version_info") or "unknown"
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not f"{found}.".startswith(f"{wanted}."):
        raise SetupRefused(
            f"{folder} was not made by this command and is of Python {found}, this is {wanted}: "
            "move it away, or name that Python (make demo PYTHON=...)"
        )


def _install(root: Path, step: Step, arguments: Sequence[str], programs: Programs) -> None:
    pip = [str(steps.python_of(root, steps.PROJECT_VENV)), "-m", "pip"]
    if step.venv != steps.PROJECT_VENV:
        pip += ["--python", str(steps.python_of(root, step.venv))]
    _run_patiently(root, step, [*pip, *PIP_INSTALL, *arguments], programs)


def _run_program(root: Path, step: Step, programs: Programs) -> None:
    folder = root / step.venv / steps.BROWSER_FOLDER
    arguments = [str(root / step.program), settings.npm_registry(), str(folder)]
    _run_patiently(root, step, [str(steps.python_of(root, step.venv)), *arguments], programs)


def _run_patiently(root: Path, step: Step, command: Sequence[str], programs: Programs) -> None:
    log = log_path(root, step.venv)
    for pause in (*programs.retry_pauses_seconds, None):
        code = programs.run(command, log)
        if code == 0:
            return
        if pause is not None and not programs.is_stopping:
            tell(f"  {step.name}: ended with {code}, trying again")
            programs.pause(pause)
    raise SetupFailed(describe_failure(f"installing {step.name}", log))


def _base_python() -> str:
    # Never the interpreter of an environment, which may be the one that is replaced.
    return str(getattr(sys, "_base_executable", None) or sys.executable)
