"""What the embedded endpoint puts around the emulator, in the emulator's own environment."""

import json
import subprocess
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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


def pack(path: Path, **contents: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(f"python/{name}.py", text)


def unpack(store: aws_endpoint.LayerStore, path: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    with store.ZipFile(str(path)) as archive:
        archive.extractall(str(target))
    return target


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> aws_endpoint.LayerStore:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return aws_endpoint.LayerStore()


def test_a_layer_is_unpacked_once_for_all_workers(store: aws_endpoint.LayerStore, tmp_path: Path) -> None:
    pack(tmp_path / "layer_0.zip", one="x = 1")
    with ThreadPoolExecutor(8) as several:
        folders = [tmp_path / f"w{number}" for number in range(8)]
        targets = list(several.map(lambda folder: unpack(store, tmp_path / "layer_0.zip", folder), folders))

    assert {target.resolve() for target in targets} == {targets[0].resolve()}
    assert (targets[3] / "python" / "one.py").read_text() == "x = 1"
    assert not list(tmp_path.glob("layer-unfinished-*"))


def test_a_layer_with_other_contents_is_another(store: aws_endpoint.LayerStore, tmp_path: Path) -> None:
    pack(tmp_path / "layer_0.zip", one="x = 1")
    pack(tmp_path / "layer_1.zip", one="x = 2")

    first, second = (unpack(store, tmp_path / f"layer_{n}.zip", tmp_path / f"w{n}") for n in range(2))

    assert (first / "python" / "one.py").read_text() == "x = 1"
    assert (second / "python" / "one.py").read_text() == "x = 2"


def test_a_functions_own_code_is_unpacked_for_each_worker(store: aws_endpoint.LayerStore, tmp_path: Path) -> None:
    pack(tmp_path / "code.zip", app="x = 1")

    assert not unpack(store, tmp_path / "code.zip", tmp_path / "w").is_symlink()
    assert issubclass(store.BadZipFile, Exception)
