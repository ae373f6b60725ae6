"""What `make audit` and `make lint` ask for and look at, and what their answers mean."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bootstrap import audit, commands, settings, steps
from scripts.bootstrap.audit import Round, Verdict, judge, read_round, spread_pins

PINS = {"boto3": "1.44.5", "chalice": "1.34.0"}
HOLE = {"id": "PYSEC-2030-1", "aliases": ["CVE-2030-1"], "fix_versions": ["1.35.0"]}
SKIPPED = "Dependency not found on PyPI and could not be audited"


def a_round(*, holes: dict[str, list[dict[str, Any]]] | None = None, skipped: tuple[str, ...] = ()) -> Round:
    """What pip-audit says of PINS."""
    found = [
        {"name": name, "skip_reason": SKIPPED}
        if name in skipped
        else {"name": name, "version": version, "vulns": (holes or {}).get(name, [])}
        for name, version in PINS.items()
    ]
    return read_round(PINS, json.dumps({"dependencies": found, "fixes": []}), "No known vulnerabilities found")


@pytest.fixture
def excused() -> Iterator[None]:
    """One vulnerability and one package that somebody gave a reason for."""
    audit.ACCEPTED["CVE-2030-1"] = audit.UNKNOWN["boto3"] = "a reason"
    yield
    audit.ACCEPTED.clear()
    audit.UNKNOWN.clear()


def test_every_list_of_pins_is_audited() -> None:
    audited = {str(path.relative_to(settings.ROOT)) for path in steps.find_requirements(settings.ROOT)}
    installed = {
        name
        for step in vars(steps).values()
        if isinstance(step, steps.Step)
        for group in step.requirements
        for name in group
    }

    assert installed <= audited
    assert "layers/third_party/requirements.txt" in audited


def test_every_version_of_a_package_is_asked_for_once_and_no_two_in_one_call() -> None:
    lists = [
        "# pins\nboto3==1.44.5\nkafka-python==2.3.2\n",
        "boto3==1.43.0\nKafka_Python==2.3.2 ; python_version < '3'\n",
    ]

    assert spread_pins(lists) == [{"boto3": "1.44.5", "kafka-python": "2.3.2"}, {"boto3": "1.43.0"}]


def test_every_line_of_every_list_is_asked_for() -> None:
    lists = [path.read_text("utf-8") for path in steps.find_requirements(settings.ROOT)]
    lines = {line for text in lists for line in text.splitlines() if line.strip() and not line.startswith("#")}
    rounds = spread_pins(lists)

    assert sum(map(len, rounds)) >= len({line.partition(";")[0].strip().lower().replace("_", "-") for line in lines})


def test_what_is_known_to_have_no_hole_passes() -> None:
    assert judge([a_round()], is_strict=True) == Verdict(
        ("audit: 2 of 2 packages audited, 0 known vulnerabilities",), is_failure=False
    )


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_known_vulnerability_is_a_failure_with_its_name(is_strict: bool) -> None:
    verdict = judge([a_round(holes={"chalice": [HOLE]})], is_strict=is_strict)

    assert verdict.is_failure
    assert verdict.lines[0] == "chalice==1.34.0: PYSEC-2030-1, mended in 1.35.0"


@pytest.mark.usefixtures("excused")
def test_what_somebody_gave_a_reason_for_passes() -> None:
    verdict = judge([a_round(holes={"chalice": [HOLE]}, skipped=("boto3",))], is_strict=True)

    assert not verdict.is_failure


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_package_that_could_not_be_audited_is_named_and_fails_make_audit(is_strict: bool) -> None:
    verdict = judge([a_round(skipped=("boto3",))], is_strict=is_strict)

    assert verdict.is_failure == is_strict
    assert verdict.lines[0] == "not audited: boto3==1.44.5"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (a_round(skipped=("boto3", "chalice")), ""),
        (read_round(PINS, "", "Traceback ...\nProxyError: no route\n"), " (ProxyError: no route)"),
        (read_round(PINS, "", ""), " (no word from pip-audit)"),
    ],
)
def test_where_nobody_knows_anything_make_test_says_so_and_make_audit_fails(answer: Round, cause: str) -> None:
    line = f"audit: NOT AUDITED, the source of advisories did not answer for 2 of 2 packages{cause}"

    assert judge([answer], is_strict=False) == Verdict((line,), is_failure=False)
    assert judge([answer], is_strict=True).is_failure


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_call_that_fails_beside_one_that_answers_is_told_with_its_cause(is_strict: bool) -> None:
    verdict = judge([a_round(), Round({"boto3": "1.43.0"}, (), "ProxyError")], is_strict=is_strict)

    assert verdict.is_failure == is_strict
    assert verdict.lines[0] == "not audited: boto3==1.43.0 (ProxyError)"


def test_whatever_is_excused_has_a_reason() -> None:
    assert all((*audit.ACCEPTED.values(), *audit.UNKNOWN.values()))


def test_bandit_is_a_linter_and_leaves_out_no_code() -> None:
    assert commands.BANDIT in commands.LINTERS
    assert {"functions", "layers/event_analytics/python", "scripts"} <= set(commands.BANDIT)
