"""The lists of requirements are exact, agree with each other, and the demo's are no longer than the demo needs."""

import re
import tomllib

import pytest

from scripts.bootstrap import settings, steps

EXACT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][0-9A-Za-z.]*)( ?; .+)?")
VENVS = sorted({step.venv for step in steps.ALL_STEPS})
LISTS = sorted({name for step in steps.ALL_STEPS for group in step.requirements for name in group})


def read_pins(name: str) -> list[tuple[str, str]]:
    lines = (settings.ROOT / name).read_text(encoding="utf-8").splitlines()
    matches = [EXACT.fullmatch(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return [(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]) for match in matches if match]


def lists_of(venv: str, chosen: tuple[steps.Step, ...] = steps.ALL_STEPS) -> list[str]:
    return [name for step in chosen if step.venv == venv for group in step.requirements for name in group]


@pytest.mark.parametrize("name", LISTS)
def test_every_line_of_a_list_is_an_exact_version(name: str) -> None:
    lines = (settings.ROOT / name).read_text(encoding="utf-8").splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    assert wanted
    assert [line for line in wanted if not EXACT.fullmatch(line)] == []


@pytest.mark.parametrize("venv", VENVS)
def test_no_package_is_listed_twice_for_one_environment(venv: str) -> None:
    names = [package for name in lists_of(venv) for package, _ in read_pins(name)]

    assert sorted(names) == sorted(set(names))


def test_demo_installs_neither_test_tools_nor_data_frames() -> None:
    lists = [name for venv in VENVS for name in lists_of(venv, steps.DEMO_STEPS)]
    installed = {package for name in lists for package, _ in read_pins(name)}

    assert installed.isdisjoint({"pytest", "hypothesis", "moto", "mypy", "ruff", "pandas", "pyarrow", "numpy"})


def test_checkout_is_built_by_the_hatchling_that_is_installed() -> None:
    project = tomllib.loads((settings.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    builders = dict(read_pins("localstack/builders.requirements.txt"))

    assert project["build-system"]["requires"] == [f"hatchling=={builders['hatchling']}"]
