"""`make invoke` on a running stack."""

from pathlib import Path

import pytest

from local_runtime.settings import REPOSITORY
from scripts.invoke import main
from tests.conftest import EmbeddedStack

EVENTS = REPOSITORY / "tests" / "events"


@pytest.fixture(autouse=True)
def _on_this_stack(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(stack.settings.state_dir))


def test_an_event_is_answered_and_the_log_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(EVENTS / "query_health.json")]) == 0

    printed = capsys.readouterr().out
    assert '"statusCode": 200' in printed
    assert '"message":"invocation"' in printed


def test_a_function_that_raises_ends_the_command_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"Records": []}')

    assert main(["load", str(event)]) == 1

    assert "errorType" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{not json", "is not JSON"), ('"' + "x" * 6_300_000 + '"', "an invocation carries")],
)
def test_a_file_that_is_no_event_is_named(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    if content is not None:
        event.write_text(content)

    assert main(["load", str(event)]) == 1

    assert words in capsys.readouterr().err


def test_without_a_stack_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLYSTREAM_STATE_DIR", str(tmp_path))

    assert main(["query", str(EVENTS / "query_health.json")]) == 1

    assert "make up" in capsys.readouterr().err


def test_an_unknown_function_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing", str(EVENTS / "msk.json")])

    assert "ingest" in capsys.readouterr().err
