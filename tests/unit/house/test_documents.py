"""What the documents say is true: settings, commands, libraries."""

import ast
import dataclasses
import html
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from event_analytics import settings as function_settings
from event_analytics.adapters.aws_session import aws_session
from event_analytics.replay_state import read_job
from local_runtime import settings as local_settings
from scripts import settings as operator_settings
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

CODE = "\n".join(
    file.read_text("utf-8")
    for folder in ("functions", "layers/event_analytics", "infrastructure", "localstack", "schema", "scripts")
    for file in (ROOT / folder).rglob("*")
    if file.suffix in {".py", ".sql", ".toml", ".yaml"}
) + (ROOT / "template.yaml").read_text("utf-8")
FOREIGN_NAMES = {
    "ConcurrentExecutions", "KafkaDataLogsDiskUsed", "UnderReplicatedPartitions",  # metrics of AWS
    "optimize_skip_unused_shards",  # a setting of ClickHouse
    "log_trouble", "spool_trouble",  # ours: ingest makes them of the part that is in trouble
}  # fmt: skip
# Of the table in docs/benchmarks.md, those that the README asks in SQL.
FIVE_QUESTIONS = (
    "top users, 24 h", "errors of one event name, 7 d", "p95 per event name and session, 1 d",
    "timeline of one session", "top sessions by error rate, 7 d",
)  # fmt: skip


def read_names(module: object) -> set[str]:
    """Environment variables that a settings module names."""
    source = Path(str(module.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}


def test_every_setting_is_documented_and_none_that_is_not_read() -> None:
    inherited = set(local_settings.INHERITED_NAMES)

    read = read_names(function_settings) | read_names(local_settings) | read_names(operator_settings)
    assert read - inherited == DOCUMENTED_SETTINGS


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


def anchors_of(document: Path) -> set[str]:
    """The fragments that a rendered document has, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", (ROOT / document).read_text("utf-8"))
    places = [(ROOT / document.parent / path if path else ROOT / document, anchor) for path, anchor in links]

    assert [place for place, _ in places if not place.exists()] == []
    assert [(place, anchor) for place, anchor in places if anchor and anchor not in anchors_of(place)] == []


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.parent == Path("docs")], ids=str)
def test_every_name_that_a_document_quotes_is_in_the_code(document: Path) -> None:
    quoted = re.findall(
        r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z][a-z]+(?:[A-Z][a-z]+)+)`", (ROOT / document).read_text("utf-8")
    )
    names = {name for name in quoted if not name.startswith("test_")} - FOREIGN_NAMES

    assert {name for name in names if not re.search(rf"\b{name}\b", CODE)} == set()


def test_the_payload_of_the_runbooks_is_a_replay() -> None:
    [payload] = re.findall(r"--payload '(\{.*?\})'", (ROOT / "docs/operating.md").read_text("utf-8"))

    job = read_job(json.loads(payload), "r1")

    assert (job.end_ms - job.start_ms) == 3_600_000


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    benchmarks = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    [held] = re.findall(r"^\| held for 60 s over HTTP[^|]*\|[^|]*\| ([\d,]+) \|$", benchmarks, re.MULTILINE)
    [shows_ms] = re.findall(r"^\| from 202 to visible[^|]*p99, ms \|[^|]*\| ([\d,.]+) \|$", benchmarks, re.MULTILINE)
    p50 = dict(re.findall(r"^\| ([^|]+) \| *\d* \| ([\d.]+) \|", benchmarks, re.MULTILINE))
    asked = [round(float(p50[question]) / 5) * 5 for question in FIVE_QUESTIONS]

    assert f"**{round(int(held.replace(',', '')), -2):,} events a second**" in README
    assert f"to {float(shows_ms.replace(',', '')) / 1_000:.1f} s (p99) after its 202" in README
    assert f"take {min(asked)} to {max(asked)} ms (p50)" in README


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_imported_by_code_that_runs(library: str) -> None:
    module = importlib.import_module(LIBRARIES[library])
    aws_session("http://127.0.0.1:4566")  # the one that imports where it is used

    assert library in sys.modules
    assert f" {library}" in Path(str(module.__file__)).read_text("utf-8")
