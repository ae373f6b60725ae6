"""What the embedded endpoint puts around the emulator, in the emulator's own environment."""

import json
import subprocess
from typing import Any

import pytest

from local_runtime import aws_endpoint
from local_runtime.settings import LocalSettings

SAID_BY_BOTH = """
import json, pathlib, sys
sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent))
import aws_endpoint
quick = aws_endpoint.QuickJson()
for text in json.load(sys.stdin):
    try:
        usual = json.loads(text)
    except ValueError as error:
        try:
            quick.loads(text)
        except quick.JSONDecodeError:
            print("refused")
        continue
    assert repr(quick.loads(text)) == repr(usual), text
    assert repr(json.loads(quick.dumps(usual))) == repr(usual), text
    print("the same")
"""
DOCUMENTS = (
    '{"records": {"events-0": [{"offset": 9007199254740993, "value": "aGVsbG8=", "key": null, "headers": []}]}}',
    '"\\ud83d\\ude00 \\u0000 \\u2028 \\"quoted\\" \\\\ ä"',
    '"half of a pair: \\ud800"',
    "[1e400, -1.5e-7, 0.1, -0, 123456789012345678901234567890, true, false, null]",
    "[NaN, Infinity, -Infinity]",
    '{"twice": 1, "twice": 2, "": {}}',
    " 7 ",
)
BROKEN = ("", "{", "{'a': 1}", "[1,]", "\ufeff1")


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What both ways say of each document."""
    python = LocalSettings.from_env().ministack_venv / "bin" / "python"
    told: Any = json.dumps([*DOCUMENTS, *BROKEN])
    done = subprocess.run(
        [python, "-P", "-c", SAID_BY_BOTH, aws_endpoint.__file__],
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_documents_are_read_and_written_as_pythons_json_does(said: list[str]) -> None:
    assert said[: len(DOCUMENTS)] == ["the same"] * len(DOCUMENTS)


def test_what_is_no_document_is_refused_as_pythons_json_does(said: list[str]) -> None:
    assert said[len(DOCUMENTS) :] == ["refused"] * len(BROKEN)
