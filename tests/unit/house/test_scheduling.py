"""Tests that share a stack go to one process, and every one of them is known."""

import re
from pathlib import Path

import pytest

from tests.scheduling import LONE_FILES, STACKS, check_may_start_stack, group_of

ROOT = Path(__file__).parents[3]
AROUND, API = STACKS


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/e2e/test_changes.py::test_a[tests/unit]", API),
        ("tests/contract/test_event_log.py::test_b", API),
        ("tests/e2e/test_kafka_down.py::test_c", "tests/e2e/test_kafka_down.py"),
        ("tests/e2e/test_replay.py::test_d", AROUND),
        ("tests/integration/deploy/test_deploy.py::test_d", AROUND),
        ("tests/integration/local_runtime/test_embedded_stack.py::test_e", AROUND),
        ("tests/integration/local_runtime/test_up.py::test_f", "tests/integration/local_runtime/test_up.py"),
        ("tests/unit/house/test_style.py::test_g[a/b.py]", "tests/unit/house/test_style.py"),
    ],
)
def test_a_stack_has_one_group_and_every_other_file_its_own(nodeid: str, expected: str) -> None:
    assert group_of(nodeid) == expected


def test_every_place_named_is_there() -> None:
    assert [path for paths in (*STACKS.values(), LONE_FILES) for path in paths if not (ROOT / path).exists()] == []


def test_a_stack_that_nobody_counted_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/e2e/test_changes.py::test_a (setup)")
    check_may_start_stack()

    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/integration/spool/test_outages.py::test_b (setup)")
    with pytest.raises(AssertionError, match=re.escape("name its folder")):
        check_may_start_stack()

    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    check_may_start_stack()
