"""The commands as a person meets them: the list, the refusals, the words that are passed on."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import dev
from scripts.bootstrap import commands, settings
from scripts.bootstrap.commands import COMMANDS, make_paths_absolute

DEV = settings.ROOT / "scripts" / "dev.py"
MAKEFILE = (settings.ROOT / "Makefile").read_text(encoding="utf-8")


def run_dev(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(DEV), *words], capture_output=True, text=True, check=False)


def test_makefile_has_a_target_for_each_command_and_no_other() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    rules = re.findall(r"^([a-z][a-z -]*):", MAKEFILE, re.MULTILINE)

    assert phony is not None
    assert set(phony[1].split()) == {command.name for command in COMMANDS} | {"help"}
    assert {target for rule in rules for target in rule.split()} == set(phony[1].split())


def test_make_alone_lists_every_command_with_one_line() -> None:
    listed = run_dev()

    assert listed.returncode == 0
    assert re.findall(r"^  make (\S+) +\S", listed.stdout, re.MULTILINE) == [command.name for command in COMMANDS]
    assert max(map(len, listed.stdout.splitlines())) <= 100


def test_unknown_command_shows_the_list_and_exits_2() -> None:
    refused = run_dev("deploy-everything")

    assert refused.returncode == 2
    assert "make demo" in refused.stderr


def test_entry_file_can_be_read_by_python_3_6() -> None:
    tree = ast.parse(DEV.read_text(encoding="utf-8"), feature_version=(3, 6))

    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"importlib", "shutil", "subprocess", "sys"}


def test_old_python_is_told_which_one_is_needed_in_one_line() -> None:
    message = dev.describe_old_python((3, 8))

    assert message.count("\n") == 1
    assert "Python 3.11 or newer is needed, this is 3.8" in message
    assert "PYTHON=" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--events", "all"], ["--events", "all"]),
        (["--file", "my events.ndjson"], ["--file", "/here/my events.ndjson"]),
        (["--file=events.csv", "-v"], ["--file=/here/events.csv", "-v"]),
        (["--file", "/there/e.csv"], ["--file", "/there/e.csv"]),
    ],
)
def test_files_are_named_from_where_the_person_stands(words: list[str], expected: list[str]) -> None:
    assert make_paths_absolute(words, Path("/here")) == expected


def test_file_that_is_there_is_named_from_where_the_person_stands(tmp_path: Path) -> None:
    (tmp_path / "event.json").touch()

    words = make_paths_absolute(["load", "event.json"], tmp_path)

    assert words == ["load", str(tmp_path / "event.json")]


def test_status_and_down_install_nothing_where_nothing_is_set_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [commands.main([name], root=tmp_path) for name in ("status", "down")]

    assert codes == [3, 0]
    assert "nothing is set up here" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_ci_runs_make_test_and_nothing_else() -> None:
    lines = (settings.ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[-1] == "exec make test"
    assert len(lines) == 4
