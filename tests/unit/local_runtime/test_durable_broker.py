"""Which broker the settings ask for, and what they promise with it."""

import dataclasses
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from local_runtime import assembly, lag, parts
from local_runtime.assembly import Tallystream, settle_epoch
from local_runtime.settings import InvalidSettings, LocalSettings


def settings_of(tmp_path: Path, storage: str) -> LocalSettings:
    return dataclasses.replace(LocalSettings.from_env({"TALLYSTREAM_KAFKA_STORAGE": storage}), state_dir=tmp_path)


def test_memory_is_the_default_and_an_unknown_storage_is_refused_by_name(tmp_path: Path) -> None:
    assert LocalSettings.from_env({}).kafka_durability == "memory"
    assert settings_of(tmp_path, "s3").kafka_durability == "disk"
    with pytest.raises(InvalidSettings, match="TALLYSTREAM_KAFKA_STORAGE='disk'"):
        LocalSettings.from_env({"TALLYSTREAM_KAFKA_STORAGE": "disk"})


def test_the_durable_broker_keeps_its_log_at_the_stacks_own_endpoint(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "s3")
    part = parts.describe_kafka(settings, tmp_path)

    assert part.command[-1] == "s3://tallystream-kafka/"
    assert part.environment["AWS_ENDPOINT"] == settings.aws_endpoint
    assert parts.describe_kafka(settings_of(tmp_path, "memory"), tmp_path).command[-1] == "memory://tansu/"


def test_a_memory_broker_has_an_epoch_for_each_life(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "memory")

    assert [settle_epoch(settings, boot, are_topics_new=True) for boot in ("one", "two")] == ["one", "two"]


def test_a_durable_broker_keeps_its_epoch_until_its_topics_are_made_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "s3")
    lives = [("one", True), ("two", False), ("three", False), ("four", True), ("five", False)]

    epochs = [settle_epoch(settings, boot, are_topics_new=are_new) for boot, are_new in lives]

    assert epochs == ["one", "one", "one", "four", "four"]


@pytest.mark.parametrize(("storage", "expected"), [("memory", ["LoadEventsMapping had 7 records left"]), ("s3", [])])
def test_a_stop_waits_only_for_what_the_broker_would_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, expected: list[str]
) -> None:
    session, reports = Mock(), []
    left: dict[str, Any] = {"LoadEventsMapping": 7}
    monkeypatch.setattr(assembly, "aws_session", lambda _endpoint: session)
    monkeypatch.setattr(lag, "wait_until_drained", lambda _url: left)

    Tallystream().drain(settings_of(tmp_path, storage), reports.append)

    assert reports == expected
    session.client().put_function_concurrency.assert_called_once()  # either way nothing new is let in
