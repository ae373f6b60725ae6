"""What the person's environment decides about setting up, and what of it the started programs may see.

The only module of this package that reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Each would make the interpreter of a virtual environment load packages that are not its own.
PYTHON_NAMES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
# pip options that would put packages elsewhere than into the virtual environment.
PIP_NAMES = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")
NPM_REGISTRY_DEFAULT = "https://registry.npmjs.org"
NPM_REGISTRY_NAMES = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
# pip options that a person's configuration may hold and that contradict the exact lists of requirements.
PIP_FIXED = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def environment_for_programs(values: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment in which a program of this checkout runs: without foreign Python paths."""
    source = os.environ if values is None else values
    return {name: value for name, value in source.items() if name not in PYTHON_NAMES}


def environment_for_pip(scratch_dir: Path, values: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return pip's environment: index, proxy and certificates are kept; downloads go to `scratch_dir`.

    That lies in the checkout, as /tmp is a small memory disk on many machines.
    """
    kept = {name: value for name, value in environment_for_programs(values).items() if name not in PIP_NAMES}
    return {**kept, **PIP_FIXED, "TMPDIR": str(scratch_dir)}


def state_dir(root: Path, values: Mapping[str, str] | None = None) -> Path:
    """Return where the stack of this checkout keeps its state."""
    source = os.environ if values is None else values
    return root / (source.get("TALLYSTREAM_STATE_DIR") or ".tallystream")


def npm_registry(values: Mapping[str, str] | None = None, home: Path | None = None) -> str:
    """Return where npm packages come from: npm's own variable, else its file in the person's folder, else npm's own."""
    source = os.environ if values is None else values
    named = next((source[name] for name in NPM_REGISTRY_NAMES if source.get(name)), None)
    if named:
        return named
    try:
        lines = ((home or Path.home()) / ".npmrc").read_text(encoding="utf-8").splitlines()
    except (OSError, RuntimeError):  # no such file, or no home at all
        return NPM_REGISTRY_DEFAULT
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition("=") for line in lines)]
    return next((value for name, value in pairs if name == "registry" and value), NPM_REGISTRY_DEFAULT)
