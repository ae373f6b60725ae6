"""What the documents say is true: settings, commands, libraries."""

import ast
import dataclasses
import html
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from event_analytics import settings as function_settings
from event_analytics.adapters.aws_session import aws_session
from local_runtime import settings as local_settings
from tests.plain_sql import read_plain_questions

ROOT = Path(__file__).parents[3]
DOCUMENTED_SETTINGS = set(
    re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE)
)
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = sorted(
    file.relative_to(ROOT)
    for file in [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "sdk/python/README.md", *ROOT.glob("docs/**/*.md")]
)
# Library -> the module of ours that uses it; a test module for what only tests use.
LIBRARIES = {
    "aws_lambda_powertools": "event_analytics.observability",
    "chalice": "functions.ingest.app",
    "kafka": "event_analytics.adapters.kafka_event_log",
    "clickhouse_connect": "event_analytics.adapters.clickhouse_event_store",
    "boto3": "event_analytics.adapters.s3_object_store",
    "localstack_client": "event_analytics.adapters.aws_session",
    "moto": "tests.contract.test_object_store",
    "pytest": "tests.contract.test_object_store",
}


def read_names(module: object) -> set[str]:
    """Environment variables that a settings module names."""
    source = Path(str(module.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}


def test_every_setting_is_documented_and_none_that_is_not_read() -> None:
    inherited = set(local_settings.INHERITED_NAMES)

    assert (read_names(function_settings) | read_names(local_settings)) - inherited == DOCUMENTED_SETTINGS


def test_a_function_names_all_settings_it_misses_at_once() -> None:
    with pytest.raises(function_settings.SettingsMissing) as missing:
        function_settings.LoadSettings.from_env({})

    assert str(missing.value) == "not set: CLICKHOUSE_URL, STREAM_EPOCH, ARCHIVE_BUCKET, KAFKA_BOOTSTRAP"


@pytest.mark.parametrize(
    "name",
    [
        "AuthorizerSettings",
        "IngestSettings",
        "LoadSettings",
        "ArchiveSettings",
        "QuerySettings",
        "ReportSettings",
        "ReplaySettings",
        "AdminSettings",
        "SetupSettings",
    ],
)
def test_a_function_takes_what_it_is_given(name: str) -> None:
    settings = getattr(function_settings, name).from_env(dict.fromkeys(DOCUMENTED_SETTINGS, "x"))

    assert set(dataclasses.asdict(settings).values()) == {"x"}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z-]+)", README))))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "scripts/dev.py" in done.stdout


@pytest.mark.parametrize("command", sorted(set(re.findall(r"python3? -m (scripts\.\w+|local_runtime\S*)", README))))
def test_every_module_of_the_readme_runs(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_readme_quotes_every_question_as_its_file_has_it_under_its_url() -> None:
    block = r"<details><summary>[^<]+: <code>(.+?)</code></summary>\n\n```sql\n(.+?)```\n\n</details>\n"
    quoted = {sql: html.unescape(url) for url, sql in re.findall(block, README, re.DOTALL)}

    assert quoted == {each.sql: each.url for each in read_plain_questions().values()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", (ROOT / document).read_text("utf-8"))

    assert [link for link in links if not (ROOT / document.parent / link).exists()] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_imported_by_code_that_runs(library: str) -> None:
    module = importlib.import_module(LIBRARIES[library])
    aws_session("http://127.0.0.1:4566")  # the one that imports where it is used

    assert library in sys.modules
    assert f" {library}" in Path(str(module.__file__)).read_text("utf-8")
