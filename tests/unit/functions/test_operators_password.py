"""ClickHouse's password reaches an operator's command through its environment: a command line stands in `ps`."""

import argparse
import re
from pathlib import Path

import pytest

from local_runtime.settings import REPOSITORY
from scripts.places import add_place_options, place_of
from scripts.settings import OperatorSettings

CANARY = "c4n4ry0f5ecrets"
SCRIPTS = sorted((REPOSITORY / "scripts").rglob("*.py"))


def test_a_place_takes_the_password_of_the_environment_and_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", CANARY)
    parser = argparse.ArgumentParser()
    add_place_options(parser, with_store=True)
    words = [
        "--bucket",
        "b",
        "--clickhouse-url",
        "https://clickhouse.example:8443/default",
        "--clickhouse-user",
        "tally",
    ]

    place = place_of(parser.parse_args(words))

    assert (place.clickhouse_user, place.clickhouse_password) == ("tally", CANARY)
    assert CANARY not in repr(place) + repr(OperatorSettings.from_env())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_option_of_a_command_takes_a_password(script: Path) -> None:
    assert not re.search(r'"--[a-z-]*(?:password|secret)"', script.read_text("utf-8"))
