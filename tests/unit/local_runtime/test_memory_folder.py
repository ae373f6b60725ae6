"""Memory is used only where it is there, is roomy, and may hold programs."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from local_runtime.memory_folder import find_memory_folder


def test_a_roomy_folder_is_taken(tmp_path: Path) -> None:
    assert find_memory_folder(tmp_path, free_bytes_min=1) == tmp_path


def test_a_missing_or_a_small_folder_is_not_taken(tmp_path: Path) -> None:
    assert find_memory_folder(tmp_path / "none", free_bytes_min=1) is None
    assert find_memory_folder(tmp_path, free_bytes_min=10**18) is None


def test_a_folder_that_holds_no_programs_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries could not be loaded from it."""
    monkeypatch.setattr(os, "ST_NOEXEC", 8, raising=False)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=8))

    assert find_memory_folder(tmp_path, free_bytes_min=1) is None
