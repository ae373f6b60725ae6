"""A bare checkout in a folder with a space, set up by the real entry file with real venv and pip.

Only the lists are short: each asks for one small package of an index on this machine.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.bootstrap import settings, steps
from tests.integration.bootstrap.cut_index import CutIndex

WAIT_SECONDS_MAX = 60.0

# Builds the checkout as hatchling would, from the standard library: a .pth file with its absolute path.
BACKEND = """
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    info, name = "checkout-1.0.dist-info/", "checkout-1.0-py3-none-any.whl"
    files = {"checkout.pth": os.getcwd() + "\\n",
             info + "METADATA": "Metadata-Version: 2.1\\nName: checkout\\nVersion: 1.0\\n",
             info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    files[info + "RECORD"] = "".join(path + ",,\\n" for path in [*files, info + "RECORD"])
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
"""
DEMO = """
import json, os, signal, sys
import tally_third_party, tally_runtime
if "--wait" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(9))
    print("waiting", flush=True)
    signal.pause()
print(json.dumps([sys.prefix, os.getcwd(), sys.argv[1:]]))
sys.exit(7)
"""
LISTS = {
    "localstack/builders.requirements.txt": "tally_builders",
    "layers/third_party/requirements.txt": "tally_third_party",
    "localstack/requirements.txt": "tally_runtime",
    "localstack/ministack.requirements.txt": "tally_ministack",
    "tests/requirements.txt": "tally_tests",
    "tests/aws_tools.requirements.txt": "tally_tools",
}


def make_checkout(root: Path) -> Path:
    texts = {name: f"{package}==1.0\n" for name, package in LISTS.items()}
    texts["pyproject.toml"] = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    texts |= {"backend.py": BACKEND, "scripts/demo.py": DEMO, "scripts/__init__.py": ""}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(settings.ROOT / "scripts" / "bootstrap", root / "scripts" / "bootstrap", ignore=ignored)
    shutil.copy(settings.ROOT / "scripts" / "dev.py", root / "scripts" / "dev.py")
    return root


class Person:
    """Types commands in the checkout; `index_url` is where pip looks, and nowhere else."""

    def __init__(self, root: Path, index_url: str) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        pip = {"PIP_INDEX_URL": index_url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
        self.environment = {**kept, **pip, "NO_PROXY": "127.0.0.1", "PYTHONPATH": "/nowhere"}

    def start(self, *words: str, folder: Path | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.root / "scripts" / "dev.py"), *words]
        return subprocess.Popen(
            command,
            cwd=folder or self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, folder: Path | None = None) -> tuple[int, str]:
        process = self.start(*words, folder=folder)
        output, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
        return process.returncode, output


@pytest.fixture(scope="module")
def index() -> Iterator[CutIndex]:
    served = CutIndex()
    yield served
    served.close()


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory, index: CutIndex) -> Person:
    """Someone whose first run was stopped while pip waited, and whose second met a cut download."""
    person = Person(make_checkout(tmp_path_factory.mktemp("a bare machine") / "tally stream"), index.url)

    index.may_answer.clear()
    first = person.start("demo")
    assert index.is_asked.wait(WAIT_SECONDS_MAX)
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate(timeout=WAIT_SECONDS_MAX)  # ends only when pip, which holds the pipe, has ended
    index.may_answer.set()
    assert (first.returncode, "goes on from here" in output) == (130, True), output
    assert steps.find_due_steps(person.root, steps.DEMO_STEPS) == list(steps.DEMO_STEPS)

    index.cuts_left = 1
    code, output = person.run("demo", "--events", "12")
    assert code == 7, output
    assert index.cuts_left == 0  # whether pip or the setup tried again
    return person


def test_cut_and_stopped_runs_leave_a_checkout_that_the_next_run_completes(person: Person) -> None:
    assert steps.find_due_steps(person.root, steps.DEMO_STEPS) == []
    assert not list(person.root.glob(".tallystream/venvs/*.unfinished"))
    assert not list(person.root.glob(".tallystream/tmp/setup-*"))


def test_second_run_asks_the_index_for_nothing(person: Person, index: CutIndex) -> None:
    downloads = index.downloads
    index.is_asked.clear()

    code, output = person.run("demo", "--file", "my events.ndjson", folder=person.root.parent)

    assert code == 7
    assert "Setting up" not in output
    assert not index.is_asked.is_set()
    assert index.downloads == downloads
    prefix, folder = str(person.root / ".venv"), str(person.root)
    assert f'["{prefix}", "{folder}", ["--file", "{person.root.parent}/my events.ndjson"]]' in output


def test_each_environment_holds_its_own_packages_only(person: Person) -> None:
    def can_import(venv: str, package: str) -> bool:
        command = [str(steps.python_of(person.root, venv)), "-c", f"import {package}"]
        return subprocess.run(command, capture_output=True, check=False, cwd=person.root).returncode == 0

    assert can_import(steps.PROJECT_VENV, "tally_runtime")
    assert can_import(steps.MINISTACK_VENV, "tally_ministack")
    assert not can_import(steps.MINISTACK_VENV, "tally_runtime")
    assert not can_import(steps.PROJECT_VENV, "tally_tests")


def test_interrupt_from_the_terminal_reaches_the_program_once_and_its_code_is_kept(person: Person) -> None:
    process = person.start("demo", "--wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"

    os.killpg(process.pid, signal.SIGINT)

    output, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert (process.returncode, output) == (9, "")


def test_unreachable_index_is_named_with_the_log_and_what_to_do(person: Person, index: CutIndex) -> None:
    lonely = Person(person.root, index_url="http://127.0.0.1:9/simple")
    changed = person.root / "localstack" / "ministack.requirements.txt"
    before = changed.read_text(encoding="utf-8")
    changed.write_text("tally_more==1.0\n", encoding="utf-8")

    code, output = lonely.run("demo")

    changed.write_text(before, encoding="utf-8")
    assert code == 1
    assert "installing ministack failed" in output
    assert str(person.root / ".tallystream" / "logs" / "setup-ministack.log") in output
    assert "No matching distribution found for tally_more" in output
    assert "Run the same command again" in output
    assert person.run("demo")[0] == 7


def test_folder_that_only_looks_like_an_environment_is_left_alone(tmp_path: Path, index: CutIndex) -> None:
    root = make_checkout(tmp_path / "theirs")
    (root / ".venv").write_text("my notes", encoding="utf-8")

    code, output = Person(root, index.url).run("demo")

    assert code == 2
    assert "no virtual environment: move it away" in output.splitlines()[-1]
    assert (root / ".venv").read_text(encoding="utf-8") == "my notes"
