"""Each threat that `docs/security.md` lists has what stands against it, and a test of that."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs/security.md").read_text("utf-8").partition("\n## Threats\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line.startswith("| ")
][2:]


def test_threats_are_listed() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_threat_has_an_answer_and_a_test(row: list[str]) -> None:
    threat, answer, tests = row

    assert threat
    assert answer
    assert re.findall(r"`(test_\w+)`", tests)
