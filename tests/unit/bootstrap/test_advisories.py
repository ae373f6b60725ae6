"""Asking beside other work: what pip-audit is given, what becomes of its answer, and that none is left behind."""

from pathlib import Path

import pytest

from scripts.bootstrap import steps
from scripts.bootstrap.advisories import answer_of, asking
from scripts.bootstrap.audit import Verdict


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one list of one pin."""
    for folder in ("layers", "localstack", "scripts", "sdk", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "layers" / "requirements.txt").write_text("# ours\nchalice==1.34.0\n", encoding="utf-8")
    return tmp_path


def put_in_place_of_pip_audit(checkout: Path, script: str) -> None:
    python = steps.python_of(checkout, steps.AUDIT_VENV)
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)


def test_the_pins_go_in_and_the_verdict_comes_out(checkout: Path) -> None:
    answer = r"""IFS='=' read -r name _ version
printf '{"dependencies": [{"name": "%s", "version": "%s", "vulns": []}]}' "$name" "$version" """
    put_in_place_of_pip_audit(checkout, answer)

    with asking(checkout) as calls:
        verdict = answer_of(calls, is_strict=True)

    assert verdict == Verdict(("audit: 1 of 1 packages audited, 0 known vulnerabilities",), is_failure=False)


def test_no_call_outlives_a_run_that_is_cut(checkout: Path) -> None:
    put_in_place_of_pip_audit(checkout, "exec sleep 60")

    with pytest.raises(KeyboardInterrupt), asking(checkout) as calls:
        raise KeyboardInterrupt

    assert [process.poll() for _, process in calls] == [-9]
