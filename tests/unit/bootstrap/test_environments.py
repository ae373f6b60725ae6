"""Whose virtual environments are used, replaced or left alone."""

import sys
from pathlib import Path

import pytest

from scripts.bootstrap.installation import check_foreign_venv
from scripts.bootstrap.programs import SetupRefused

VERSION = ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("line", [f"version = {VERSION}", f"version_info = {VERSION}.final.0"])
def test_uses_a_persons_own_environment_of_this_python(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\n", encoding="utf-8")

    check_foreign_venv(tmp_path)

    assert (tmp_path / "pyvenv.cfg").exists()


def test_refuses_a_persons_own_environment_of_another_python(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("version = 3.1.4\n", encoding="utf-8")

    with pytest.raises(SetupRefused, match=r"Python 3\.1\.4.*move it away"):
        check_foreign_venv(tmp_path)


def test_refuses_a_folder_that_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(SetupRefused, match="no virtual environment"):
        check_foreign_venv(tmp_path)

    assert (tmp_path / "thesis.txt").exists()
