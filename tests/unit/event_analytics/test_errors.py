"""The closed set of refusals: each is tested, documented, and has a status."""

import re
from pathlib import Path

import pytest

from event_analytics.errors import Reason, status_of

ROOT = Path(__file__).parents[3]
TESTS = "\n".join(
    file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py") if file.name != Path(__file__).name
)
DOCUMENTED = dict(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_test(reason: Reason) -> None:
    assert f'"{reason}"' in TESTS


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_documented_with_its_status(reason: Reason) -> None:
    assert DOCUMENTED.get(reason) == str(status_of(reason))


def test_the_document_names_no_other_reason() -> None:
    assert set(DOCUMENTED) == set(Reason)
