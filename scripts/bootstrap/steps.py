"""What can be set up: a step is one list of requirements in one virtual environment; its stamp says done.

Decides whether a step is due; `installation` carries it out.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT_VENV = ".venv"
MINISTACK_VENV = ".tallystream/venvs/ministack"
AWS_TOOLS_VENV = ".tallystream/venvs/aws_tools"
SCHEMATHESIS_VENV = ".tallystream/venvs/schemathesis"
CHROMIUM_VENV = ".tallystream/venvs/chromium"
BENCH_SDK_VENV = ".tallystream/venvs/bench_sdk"
BENCH_VENV = ".tallystream/venvs/bench"
AUDIT_VENV = ".tallystream/venvs/audit"
BROWSER_FOLDER = "browser"  # in that environment; `browser.json` in it says what to start
STAMP_FORMAT = 1  # raise it when `installation` installs differently, so that older stamps are void


@dataclass(frozen=True)
class Step:
    """One thing to set up; `requirements` are installed group by group. Sizes: Linux x86_64, Python 3.11.

    `program`: a script that the environment then runs, with npm's registry and the folder that it fills.
    """

    name: str
    purpose: str
    venv: str
    requirements: tuple[tuple[str, ...], ...]
    download_mb: int
    free_mb_min: int  # installed size, downloads and pip's cache of them, and room for what the stack writes
    installs_checkout: bool = False
    program: str = ""


RUNTIME = Step(
    name="runtime",
    purpose="project, ClickHouse engine, Kafka broker",
    venv=PROJECT_VENV,
    requirements=(
        ("localstack/builders.requirements.txt",),
        ("layers/third_party/requirements.txt", "localstack/requirements.txt"),
    ),
    download_mb=230,
    free_mb_min=3000,
    installs_checkout=True,
)
TESTS = Step(
    name="tests",
    purpose="test runner, browser driver, linters, data frames",
    venv=PROJECT_VENV,
    requirements=(("tests/requirements.txt",),),
    download_mb=195,
    free_mb_min=1700,
)
MINISTACK = Step(
    name="ministack",
    purpose="local AWS endpoint",
    venv=MINISTACK_VENV,
    requirements=(("localstack/ministack.requirements.txt",),),
    download_mb=30,
    free_mb_min=500,
)
AWS_TOOLS = Step(
    name="aws_tools",
    purpose="SAM CLI, cfn-lint, Lambda runtime client",
    venv=AWS_TOOLS_VENV,
    requirements=(("tests/aws_tools.requirements.txt",),),
    download_mb=70,
    free_mb_min=1000,
)
SCHEMATHESIS = Step(
    name="schemathesis",
    purpose="tester of the API's description",
    venv=SCHEMATHESIS_VENV,
    requirements=(("tests/schemathesis.requirements.txt",),),
    download_mb=15,
    free_mb_min=200,
)
CHROMIUM = Step(
    name="chromium",
    purpose="browser of the tests",
    venv=CHROMIUM_VENV,
    requirements=(("tests/chromium.requirements.txt",),),
    download_mb=75,
    free_mb_min=1000,
    program="scripts/chromium.py",
)
BENCH_SDK = Step(
    name="bench_sdk",
    purpose="the SDKs that ours is measured beside",
    venv=BENCH_SDK_VENV,
    requirements=(("sdk/python/bench/requirements.txt",),),
    download_mb=5,
    free_mb_min=200,
)
BENCH = Step(
    name="bench",
    purpose="what ours is measured beside",
    venv=BENCH_VENV,
    requirements=(("scripts/bench/rivals/requirements.txt",),),
    download_mb=25,
    free_mb_min=300,
)
AUDIT = Step(
    name="audit",
    purpose="asks for known vulnerabilities",
    venv=AUDIT_VENV,
    requirements=(("scripts/bootstrap/audit.requirements.txt",),),
    download_mb=10,
    free_mb_min=200,
)
DEMO_STEPS = (RUNTIME, MINISTACK)
ALL_STEPS = (RUNTIME, TESTS, MINISTACK, AWS_TOOLS, SCHEMATHESIS, CHROMIUM, AUDIT)


def find_requirements(root: Path) -> list[Path]:
    """Return the lists of everything that is pinned here, the SDK's rivals in benchmarks included."""
    folders = ("layers", "localstack", "scripts", "sdk", "tests")
    return sorted(path for folder in folders for path in (root / folder).rglob("*requirements.txt"))


def find_due_steps(root: Path, steps: Sequence[Step]) -> list[Step]:
    """Return the steps that have to run, in order; empty when everything is as the requirement files say."""
    return [step for step in steps if not is_done(root, step)]


def is_done(root: Path, step: Step) -> bool:
    """Tell whether the step's environment works and holds what its files ask for now."""
    if not python_of(root, step.venv).exists() or building_mark(root, step.venv).exists():
        return False
    try:
        return stamp_path(root, step).read_text(encoding="utf-8") == stamp_of(root, step)
    except FileNotFoundError:
        return False


def stamp_of(root: Path, step: Step) -> str:
    """Return the text that stands for all that decides what this step installs."""
    digest = hashlib.sha256()
    names = [name for group in step.requirements for name in group]
    if step.installs_checkout:
        names.append("pyproject.toml")
    if step.program:
        names.append(step.program)
    if step.installs_checkout or step.program:
        digest.update(str(root).encode())  # what they leave is found by its absolute path
    for name in names:
        digest.update(b"\0" + (root / name).read_bytes())
    return f"{STAMP_FORMAT} {python_identity()} {digest.hexdigest()}\n"


def python_identity() -> str:
    """Return what an environment belongs to: a Python of another minor version cannot use its packages."""
    return f"{sys.implementation.cache_tag}{sys.abiflags}"


def python_of(root: Path, venv: str) -> Path:
    """Return the environment's interpreter; console scripts are not used, they break in a moved checkout."""
    return root / venv / "bin" / "python"


def stamp_path(root: Path, step: Step) -> Path:
    """Return the file that is written last, when the step is complete."""
    return root / step.venv / f".{step.name}.stamp"


def building_mark(root: Path, venv: str) -> Path:
    """Return the file that exists while an environment is changed: found at a start, that was cut off."""
    return root / ".tallystream" / "venvs" / f"{Path(venv).name.lstrip('.')}.unfinished"
