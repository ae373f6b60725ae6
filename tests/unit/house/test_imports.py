"""Who may import whom: pure inside, I/O in adapters, joined only in `functions/<name>/app.py`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "layers/event_analytics/python/event_analytics"
ADAPTERS = sorted((PACKAGE / "adapters").glob("[!_]*.py"))
IMPURE = {*ADAPTERS, PACKAGE / "settings.py", PACKAGE / "observability.py"}
PURE = sorted(set(PACKAGE.rglob("[!_]*.py")) - IMPURE)
APPS = sorted((ROOT / "functions").glob("*/app.py"))

# Standard library modules that reach outside the process.
OUTSIDE = {"http", "os", "shutil", "socket", "subprocess", "time", "urllib"}
QUIET = {"urllib.parse"}  # of these packages, what reaches nowhere
PURE_THIRD_PARTY = {"isal", "msgspec"}
ADAPTER_LIBRARIES = {
    "alb_door": {"chalice", "http", "urllib"},
    "aws_session": {"boto3", "localstack_client", "urllib"},
    "chalice_http": {"chalice"},
    "clickhouse_event_store": {"clickhouse_connect", "msgspec", "urllib3"},
    "clickhouse_reading": {"clickhouse_connect", "urllib", "urllib3"},
    "clickhouse_schema": set(),
    "dashboard_files": set(),
    "kafka_bulk": {"kafka"},
    "kafka_event_log": {"kafka", "time"},
    "kafka_topic_offsets": {"kafka", "time"},
    "kafka_topics": {"kafka"},
    "s3_object_store": {"boto3", "botocore"},
    "secrets_manager": {"aws_lambda_powertools", "time"},
    "sns_notices": {"boto3"},
    "valkey_answer_cache": {"time", "valkey"},
}


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield str(node.module)


def top_level(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def outer(names: set[str]) -> set[str]:
    """What is neither the language's own, quiet part nor our package."""
    return {
        name for name in names if name != "event_analytics" and (name not in sys.stdlib_module_names or name in OUTSIDE)
    }


@pytest.mark.parametrize("module", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_module_reaches_nothing_outside(module: Path) -> None:
    names = set(imports_of(module))

    assert outer(top_level(iter(names - QUIET))) <= PURE_THIRD_PARTY
    inner = {name for name in names if name.startswith("event_analytics.")}
    assert not {name for name in inner if ".adapters" in name or name.endswith((".settings", ".observability"))}


@pytest.mark.parametrize("module", ADAPTERS, ids=lambda path: path.stem)
def test_an_adapter_has_its_one_library(module: Path) -> None:
    assert outer(top_level(imports_of(module))) <= ADAPTER_LIBRARIES[module.stem]


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.parent.name)
def test_a_function_imports_the_package_and_the_framework_only(app: Path) -> None:
    assert top_level(imports_of(app)) <= {"event_analytics", "chalice", "msgspec", *sys.stdlib_module_names}


def test_every_function_folder_has_one_app_and_nothing_else() -> None:
    files = {file for file in (ROOT / "functions").rglob("*") if file.is_file() and "__pycache__" not in file.parts}

    assert files == set(APPS)


@pytest.mark.parametrize(
    "module",
    [
        file
        for folder in ("functions", "layers", "localstack", "scripts")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_only_settings_read_the_environment(module: Path) -> None:
    reads = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    } & {"os.environ", "os.getenv"}

    assert not reads or module.name == "settings.py" or module in BEFORE_SETTINGS, f"{module} reads {reads}"


# These run before anything is installed, so settings cannot be imported yet.
BEFORE_SETTINGS = {ROOT / "scripts/dev.py", *(ROOT / "scripts/bootstrap").glob("*.py")}
