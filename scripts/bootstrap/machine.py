"""Looks at the machine once and decides whether this checkout can be set up on it.

`inspect` only reads; `find_refusal` is pure. What to install is `steps`, how is `installation`.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PYTHON_MIN = (3, 11)  # pyproject.toml: requires-python
PYTHON_MAX = (3, 13)  # the newest that every pinned wheel was installed and tested on
GLIBC_MIN = (2, 28)  # the oldest that every compiled wheel of the lists supports (manylinux_2_28)
ARCHITECTURES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("x86_64", "arm64")}
NEEDED_MODULES = ("venv", "ensurepip", "ssl")
MB = 1_000_000


@dataclass(frozen=True)
class Machine:
    """What setting up depends on. `glibc_version` is (0, 0) where `libc` is not glibc."""

    system: str
    architecture: str
    implementation: str
    python_version: tuple[int, int]
    is_64_bit: bool
    libc: str
    glibc_version: tuple[int, int]
    missing_modules: tuple[str, ...]
    is_writable: bool
    free_bytes: int
    root: str


def inspect(root: Path) -> Machine:
    """Return this machine as seen from the checkout at `root`."""
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        implementation=platform.python_implementation(),
        python_version=(sys.version_info.major, sys.version_info.minor),
        is_64_bit=sys.maxsize > 2**32,
        libc="musl" if _is_musl() else platform.libc_ver()[0],
        glibc_version=_glibc_version(),
        missing_modules=tuple(name for name in NEEDED_MODULES if importlib.util.find_spec(name) is None),
        is_writable=os.access(root, os.W_OK | os.X_OK),
        free_bytes=shutil.disk_usage(root).free,
        root=str(root),
    )


def find_refusal(machine: Machine, free_mb_min: int) -> str | None:
    """Return the one line that says why this machine cannot run it and what would, or None when it can."""
    reasons = (
        _refuse_system(machine),
        _refuse_libc(machine),
        _refuse_python(machine),
        _refuse_folder(machine),
        find_space_refusal(machine.free_bytes, free_mb_min, machine.root),
    )
    return next((reason for reason in reasons if reason), None)


def find_space_refusal(free_bytes: int, free_mb_min: int, root: str) -> str | None:
    """Return the line that names both figures when the disk is too full."""
    if free_bytes >= free_mb_min * MB:
        return None
    needed, left = free_mb_min / 1000, free_bytes / MB / 1000
    return f"{needed:.1f} GB of free disk are needed, {left:.1f} GB are left where {root} lies"


def _refuse_system(machine: Machine) -> str | None:
    supported = ARCHITECTURES.get(machine.system)
    if supported is None:
        return f"{machine.system} is not supported: use Linux, on Windows inside WSL 2 (macOS mostly works)"
    if machine.architecture not in supported or not machine.is_64_bit:
        bits = "64-bit" if machine.is_64_bit else "32-bit"
        return (
            f"a {bits} Python on {machine.architecture} is not supported: "
            f"the ClickHouse engine has wheels for 64-bit {' and '.join(supported)} only"
        )
    return None


def _refuse_libc(machine: Machine) -> str | None:
    if machine.system != "Linux":
        return None
    if machine.libc == "musl":
        return (
            "this Linux uses musl (Alpine): there is no wheel of the ClickHouse engine for it; "
            "use an image with glibc, such as python:3.13-slim, debian:12 or ubuntu:24.04"
        )
    if machine.libc == "glibc" and machine.glibc_version < GLIBC_MIN:
        needed, found = (".".join(map(str, version)) for version in (GLIBC_MIN, machine.glibc_version))
        return (
            f"glibc {needed} or newer is needed, this is {found}; "
            "Debian 10, Ubuntu 20.04, RHEL 8, Amazon Linux 2023 and later have it"
        )
    return None


def _refuse_python(machine: Machine) -> str | None:
    version = ".".join(map(str, machine.python_version))
    if not PYTHON_MIN <= machine.python_version <= PYTHON_MAX:
        return f"Python 3.11 to 3.13 is needed, this is {version}; name another: make demo PYTHON=python3.13"
    if machine.implementation != "CPython":
        return f"CPython is needed, this is {machine.implementation}; name another: make demo PYTHON=python3.12"
    if "ssl" in machine.missing_modules:
        return f"this Python {version} has no ssl module and cannot download; name another: PYTHON=python3.12"
    if machine.missing_modules:
        return (
            f"Python {version} lacks the module {machine.missing_modules[0]}; "
            f"on Debian and Ubuntu: sudo apt-get install python{version}-venv (or python3-venv)"
        )
    return None


def _refuse_folder(machine: Machine) -> str | None:
    if machine.is_writable:
        return None
    return f"{machine.root} is not writable for this user: clone into a folder of your own, or change its owner"


def _is_musl() -> bool:
    names = ("HOST_GNU_TYPE", "MULTIARCH", "SOABI", "EXT_SUFFIX")
    return any("musl" in str(sysconfig.get_config_var(name)) for name in names)


def _glibc_version() -> tuple[int, int]:
    name, text = platform.libc_ver()
    parts = text.split(".")[:2]
    is_known = name == "glibc" and len(parts) == 2 and all(part.isdigit() for part in parts)  # noqa: PLR2004 - a.b
    return (int(parts[0]), int(parts[1])) if is_known else (0, 0)
