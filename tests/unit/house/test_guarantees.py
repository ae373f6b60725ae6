"""Each guarantee names tests, and each test that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMED = sorted(set(re.findall(r"`(test_\w+)`", (ROOT / "docs/guarantees.md").read_text("utf-8"))))
DEFINED = {
    name
    for folder in ("tests", "sdk/python/tests")
    for file in (ROOT / folder).rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", file.read_text("utf-8"), re.MULTILINE)
}


def test_guarantees_name_tests() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_a_guarantee_names_exists(name: str) -> None:
    assert name in DEFINED
