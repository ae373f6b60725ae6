"""Which machines are refused, with what words."""

import dataclasses
import sys

import pytest

from scripts.bootstrap import machine, settings, steps
from scripts.bootstrap.machine import MB, Machine, find_refusal, inspect

GOOD = Machine(
    system="Linux",
    architecture="x86_64",
    implementation="CPython",
    python_version=(3, 11),
    is_64_bit=True,
    libc="glibc",
    glibc_version=(2, 36),
    missing_modules=(),
    is_writable=True,
    free_bytes=20_000 * MB,
    root="/srv/someone/tally stream",
)
NEEDED_MB = steps.RUNTIME.free_mb_min


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"python_version": (3, 12)},
        {"python_version": (3, 13)},
        {"architecture": "aarch64"},
        {"glibc_version": (2, 28)},
        {"free_bytes": NEEDED_MB * MB},
        {"system": "Darwin", "architecture": "arm64", "libc": "", "glibc_version": (0, 0)},
    ],
)
def test_accepts_a_machine_that_can_run_it(change: dict[str, object]) -> None:
    assert find_refusal(dataclasses.replace(GOOD, **change), NEEDED_MB) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python_version": (3, 10)}, ["Python 3.11", "3.10", "PYTHON="]),
        ({"python_version": (3, 14)}, ["3.11 to 3.13", "3.14", "PYTHON=python3.13"]),
        ({"implementation": "PyPy"}, ["CPython", "PyPy"]),
        ({"missing_modules": ("ensurepip",)}, ["ensurepip", "apt-get install python3.11-venv", "python3-venv"]),
        ({"missing_modules": ("venv", "ensurepip")}, ["venv", "python3.11-venv"]),
        ({"missing_modules": ("ssl",)}, ["ssl", "PYTHON="]),
        ({"libc": "musl", "glibc_version": (0, 0)}, ["musl", "Alpine", "ClickHouse", "python:3.13-slim"]),
        ({"glibc_version": (2, 26)}, ["glibc 2.28", "2.26", "Amazon Linux 2023"]),
        ({"architecture": "armv7l"}, ["armv7l", "x86_64 and aarch64"]),
        ({"is_64_bit": False}, ["32-bit"]),
        ({"system": "Windows", "architecture": "AMD64"}, ["Windows", "WSL"]),
        ({"is_writable": False}, ["/srv/someone/tally stream", "not writable"]),
        ({"free_bytes": 2_900 * MB}, ["3.0 GB", "2.9 GB", "/srv/someone/tally stream"]),
    ],
)
def test_refuses_a_machine_in_one_line_that_names_the_cause_and_the_way_out(
    change: dict[str, object], words: list[str]
) -> None:
    refusal = find_refusal(dataclasses.replace(GOOD, **change), NEEDED_MB)

    assert refusal is not None
    assert "\n" not in refusal
    for word in words:
        assert word in refusal


def test_sees_the_machine_that_runs_the_tests() -> None:
    seen = inspect(settings.ROOT)

    assert seen.python_version == sys.version_info[:2]
    assert seen.is_writable
    assert seen.free_bytes > 0
    assert find_refusal(seen, free_mb_min=0) is None


def test_smallest_python_is_the_one_that_the_project_declares() -> None:
    declared = f'requires-python = ">={".".join(map(str, machine.PYTHON_MIN))}"'

    assert declared in (settings.ROOT / "pyproject.toml").read_text(encoding="utf-8")
