"""Rules of style that a linter does not know."""

import ast
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = [
    file
    for folder in ("functions", "layers", "localstack", "scripts", "sdk/python/src", "sdk/python/bench")
    for file in sorted((ROOT / folder).rglob("*.py"))
]
TEXTS = [
    *CODE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "sdk/python/tests").rglob("*.py")), ROOT / "sdk/python/README.md",
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "template.yaml", "pyproject.toml")),
]  # fmt: skip
MODULE_LINES_MAX = 300
FUNCTION_LINES_TYPICAL = 33  # nine functions in ten stay below
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "base", "manager", "data", "info", "misc"}
MACHINE_PATHS = re.compile(r"(?<![\w.<])/(?:root|work|opt|home/\w+)/")


def functions_of(file: Path) -> list[int]:
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("file", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_name_of_its_own_a_purpose_and_a_size(file: Path) -> None:
    source = file.read_text("utf-8")

    assert not {part.lower() for part in (file.stem, *file.parent.parts[-1:])} & FORBIDDEN_NAMES
    assert len(source.splitlines()) <= MODULE_LINES_MAX
    assert ast.get_docstring(ast.parse(source)) or not source.strip()


def test_nine_functions_in_ten_fit_on_half_a_screen() -> None:
    lengths = [length for file in CODE for length in functions_of(file)]

    assert statistics.quantiles(lengths, n=10)[-1] <= FUNCTION_LINES_TYPICAL


@pytest.mark.parametrize("file", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_a_machine_stands_in_the_project(file: Path) -> None:
    assert not MACHINE_PATHS.search(file.read_text("utf-8").replace("/opt/python", ""))
