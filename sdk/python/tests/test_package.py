"""What is shipped: the promise, the wheel, the floor of Python, the README."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import tallystream
from contract_server import KEY, ContractServer
from programs import run_program
from public_api import describe
from tallystream import Client

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text("utf-8")
PYTHONS = [f"python3.{minor}" for minor in range(10, 16)]


def find_interpreters() -> list[str]:
    """Every CPython from the floor on that this machine has: on the path, and what pyenv holds."""
    candidates = [path for name in PYTHONS if (path := shutil.which(name))]
    root = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    candidates += [str(path) for name in PYTHONS for path in Path(root).glob(f"versions/*/bin/{name}")]
    found: dict[str, str] = {}
    for path in candidates:
        done = subprocess.run(
            [path, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            found.setdefault(done.stdout, path)
    return list(found.values())


TEST_REQUIREMENTS = ("pytest", "pytest-timeout", "hypothesis", "hatchling<2", "click", "rich", "typing_extensions")
INTERPRETERS = find_interpreters()
SMOKE = """
import asyncio, sys
from tallystream import AsyncClient, Client, Limits, NotFound
url, key, spool = sys.argv[1:]
limits = Limits(flush_interval_ms=10, save_interval_ms=5)
with Client(url, key, spool=spool, limits=limits) as client:
    with client.timed("timed", user_id="u") as event:
        pass
    for number in range(100):
        client.track_event("e", user_id="u", input_embeddings=[0.5], properties={"number": number})
    assert client.flush(10), client.stats()
    assert client.event(event.event_id).event_name == "timed"
    assert client.top_users().users[0].events == 101
    try:
        client.event("01890000-0000-7000-8000-000000000000")
        raise AssertionError
    except NotFound as problem:
        assert problem.retriable
async def use():
    async with AsyncClient(url, key, spool=False, limits=limits) as client:
        client.track_event("e", user_id="v")
        assert await client.flush(10)
asyncio.run(use())
"""


def test_the_public_api_is_as_promised() -> None:
    assert describe() == (HERE / "public_api.txt").read_text("utf-8"), (
        "if the change is meant: python tests/public_api.py > public_api.txt"
    )


def test_everything_exported_exists_and_nothing_else_is_public() -> None:
    assert sorted(set(tallystream.__all__)) == sorted(tallystream.__all__)
    assert all(getattr(tallystream, name) is not None for name in tallystream.__all__)
    with pytest.raises(AttributeError):
        _ = tallystream.nothing_of_this_name


@pytest.mark.parametrize("python", INTERPRETERS, ids=[Path(path).name for path in INTERPRETERS])
def test_every_interpreter_writes_and_reads(server: ContractServer, tmp_path: Path, python: str) -> None:
    run_program(SMOKE, server.url, KEY, tmp_path, python=python)

    assert len(server.events) == 102


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", INTERPRETERS, ids=[Path(path).name for path in INTERPRETERS])
def test_every_interpreter_passes_all_tests(tmp_path: Path, python: str) -> None:
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([own, "-m", "pip", "install", "-q", *TEST_REQUIREMENTS], check=True)

    done = subprocess.run(
        [own, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=HERE, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout[-5_000:]


def test_the_interpreter_of_the_floor_is_the_one_declared() -> None:
    declared = re.search(r'requires-python = ">=3\.(\d+)"', (HERE / "pyproject.toml").read_text("utf-8"))

    assert declared is not None
    assert PYTHONS[0] == f"python3.{declared[1]}"


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted((HERE / "src").rglob("*.py")), ids=lambda path: str(path.relative_to(HERE)))
def test_a_module_imports_the_standard_library_and_ours(file: Path) -> None:
    others = imports_of(file) - set(sys.stdlib_module_names) - {"tallystream"}

    allowed = {"click", "rich"} if file.parent.name == "cli" else set()
    assert others - {"typing_extensions"} <= allowed  # that one stands behind TYPE_CHECKING
    assert "os.environ" not in file.read_text("utf-8") or file.stem == "environment"


def test_importing_brings_neither_http_nor_sqlite_nor_asyncio() -> None:
    code = """
    import sys
    import tallystream
    heavy = {"http.client", "ssl", "sqlite3", "asyncio", "urllib.request", "click", "rich"} & set(sys.modules)
    assert not heavy, heavy
    """
    run_program(code)


def test_the_wheel_holds_types_and_the_command(tmp_path: Path) -> None:
    copy = tmp_path / "sdk"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("__pycache__", "tests", "bench"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=copy, check=True, capture_output=True,
    )  # fmt: skip

    (wheel,) = (tmp_path / "dist").iterdir()
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        metadata = packed.read(next(name for name in names if name.endswith("METADATA"))).decode()
        scripts = packed.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert wheel.name.startswith(f"tallystream-{tallystream.__version__}-py3-none-any")
    assert {"tallystream/py.typed", "tallystream/cli/app.py"} <= set(names)
    assert "Requires-Python: >=3.10" in metadata
    assert not re.search(r"Requires-Dist: (?!.*extra == 'cli')", metadata), "no dependencies but those of the command"
    assert "tallystream = tallystream.cli:main" in scripts


def example() -> str:
    found = re.search(
        r"<!-- first example: begin -->\n```python\n(.*?)```\n<!-- first example: end -->", README, re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_first_example_of_the_readme_runs(
    server: ContractServer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYSTREAM_SPOOL_DIR", str(tmp_path))
    names: dict[str, Client] = {}

    exec(compile(example(), "README.md", "exec"), {"url": server.url, "key": KEY}, names)

    names["client"].close()
    assert "UserCount(user_id='u1', events=1)" in capsys.readouterr().out
    assert [change["error"] for change in server.changes] == ["timeout"]


def test_the_lambda_example_of_the_readme_runs(server: ContractServer) -> None:
    block = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "sync=True" in block)
    names: dict[str, Callable[..., object]] = {}
    given = {"url": server.url, "key": KEY, "Client": Client}

    exec(compile(textwrap.dedent(block), "README.md", "exec"), given, names)
    given["client"] = names["client"]
    names["handler"]({"user": "ada"}, None)
    names["client"].close()  # type: ignore[attr-defined]

    assert [event["user_id"] for event in server.events.values()] == ["ada"]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`tallystream ([a-z-]+)", README))))
def test_every_command_of_the_readme_exists(command: str) -> None:
    from tallystream.cli.app import run

    assert run([command, "--help"]) == 0
