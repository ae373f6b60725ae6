"""What tests of the command share: where it is pointed at, and files of events."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract_server import KEY, ContractServer

AT = "2026-01-02T03:04:05.678Z"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def target(server: ContractServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALLYSTREAM_URL", server.url)
    monkeypatch.setenv("TALLYSTREAM_KEY", KEY)
    monkeypatch.setenv("TALLYSTREAM_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)


def write_lines(path: Path, *events: Any) -> Path:
    path.write_text("".join((event if isinstance(event, str) else json.dumps(event)) + "\n" for event in events))
    return path


def an_event(number: int, **fields: Any) -> dict[str, Any]:
    return {"event_name": "e", "user_id": f"u{number % 5}", "timestamp": AT, "output": str(number), **fields}
