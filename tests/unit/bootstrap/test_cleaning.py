"""`make clean` removes what can be made again, and nothing under a running stack."""

import fcntl
from pathlib import Path

import pytest

from scripts.bootstrap import steps
from scripts.bootstrap.cleaning import clean
from scripts.bootstrap.programs import SetupRefused


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in (".venv/bin", ".tallystream/venvs/ministack", ".tallystream/clickhouse", "scripts/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "scripts" / "dev.py").touch()
    (tmp_path / ".tallystream" / "keys.json").touch()
    return tmp_path


def test_keeps_sources_events_and_keys(checkout: Path) -> None:
    assert clean(checkout, []) == 0

    left = {str(path.relative_to(checkout)) for path in checkout.rglob("*")}
    assert left == {"scripts", "scripts/dev.py", ".tallystream", ".tallystream/clickhouse", ".tallystream/keys.json"}


def test_forgets_the_stack_too_when_asked(checkout: Path) -> None:
    assert clean(checkout, ["--all"]) == 0

    assert not (checkout / ".tallystream").exists()


def test_refuses_while_the_stack_runs(checkout: Path) -> None:
    with (checkout / ".tallystream" / "stack.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(SetupRefused, match="make down"):
            clean(checkout, [])

    assert (checkout / steps.PROJECT_VENV).exists()
