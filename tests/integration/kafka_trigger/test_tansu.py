"""The broker's binary, command line and topics."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL

import pytest

from local_runtime import tansu

from .conftest import Broker

ASKING = 8  # processes of a test run on a new checkout


def test_binary_is_unpacked_below_the_given_home_whatever_the_shell_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("CALF_TANSU_BIN", "/nonexistent/tansu")
    binary = tansu.find_tansu(tmp_path / "a home")

    assert binary.is_relative_to(tmp_path)
    assert os.access(binary, os.X_OK)


def test_binary_is_executable_for_each_of_many_that_ask_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(ASKING)

    def ask(_: int) -> int:
        start.wait()
        return subprocess.run([tansu.find_tansu(tmp_path), "--version"], check=False, stdout=DEVNULL).returncode

    with ThreadPoolExecutor(ASKING) as threads:
        assert set(threads.map(ask, range(ASKING))) == {0}


def test_named_binary_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tansu.TansuNotFound, match="CALF_TANSU_BIN"):
        tansu.find_tansu(tmp_path, override="/nonexistent/tansu")


def test_broker_listens_and_advertises_on_loopback_only() -> None:
    command = tansu.broker_command(12345, binary=Path("tansu"))

    assert [word for word in command if "://" in word] == ["tcp://127.0.0.1:12345"] * 2 + ["memory://tansu/"]


def test_topics_are_created_once(broker: Broker) -> None:
    topics = {"created-once": 3, "created-too": 1}

    assert sorted(tansu.create_topics(broker.bootstrap, topics)) == sorted(topics)
    assert tansu.create_topics(broker.bootstrap, topics) == []
