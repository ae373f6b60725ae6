"""The Chromium of the browser tests: the package that was chosen and no other, or the machine's own."""

import io
import tarfile
from pathlib import Path

import pytest

from scripts.chromium import NAMES, ChromiumMissing, check_package, find_browser, unpack


def test_refuses_a_package_that_is_not_the_chosen_one() -> None:
    with pytest.raises(ChromiumMissing, match="its hash differs"):
        check_package(b"another browser")


def test_takes_the_first_browser_of_the_machine() -> None:
    programs = {NAMES[1]: "/usr/bin/one", NAMES[2]: "/usr/bin/two"}

    assert find_browser(programs.get).executable == "/usr/bin/one"


def test_says_what_to_install_where_there_is_none() -> None:
    with pytest.raises(ChromiumMissing, match="apt-get install chromium"):
        find_browser(lambda _name: None)


def test_unpacks_files_below_the_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("lib/libone.so")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"one"))

    unpack(buffer.getvalue(), tmp_path / "packed")

    assert (tmp_path / "packed" / "lib" / "libone.so").read_bytes() == b"one"
