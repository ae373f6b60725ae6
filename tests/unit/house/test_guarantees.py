"""Guarantees name tests, and each test that a document names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = {file.stem: file.read_text("utf-8") for file in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]}
NAMED = {stem: set(re.findall(r"`(test_\w+)`", text)) for stem, text in DOCUMENTS.items()}
DEFINED = {
    name
    for folder in ("tests", "sdk/python/tests")
    for file in (ROOT / folder).rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", file.read_text("utf-8"), re.MULTILINE)
}


def test_guarantees_name_tests() -> None:
    assert len(NAMED["guarantees"]) > 10


@pytest.mark.parametrize("stem", [stem for stem, names in NAMED.items() if names])
def test_every_test_that_a_document_names_exists(stem: str) -> None:
    assert NAMED[stem] - DEFINED == set()
