"""Builds the third-party layer: for AWS's machine (`make build`) or for the one that runs the embedded stack.

Decides which wheels a target needs, what of them a function never reads, and when an earlier build will do. What
goes into the layer stands in `layers/third_party/requirements.txt`; `sam build` reaches the same result by the
Makefile beside it, and a test holds the two together.
"""

from __future__ import annotations

import compileall
import hashlib
import platform
import py_compile
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_runtime.zip_files import write_zip

# Part of the cache's key: raise it whenever the steps below change what they leave.
RECIPE = "1"
PIP_SECONDS_MAX = 600  # 6 MB of wheels; ten minutes is a line of 10 kB/s
PIP_LINES_SHOWN = 12  # the end of pip's output holds the reason
PIP_FLAGS = ("-q", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile", "--only-binary=:all:")
MACHINE_OF_ARCHITECTURE = {"arm64": "aarch64", "x86_64": "x86_64"}
# Amazon Linux 2, under Python 3.11, has glibc 2.26; Amazon Linux 2023, from Python 3.12 on, has 2.34.
OLD_PLATFORMS = ("manylinux_2_17", "manylinux2014")
NEW_PLATFORMS = ("manylinux_2_28", *OLD_PLATFORMS)
PYTHON_ON_OLD_PLATFORM = "3.11"
UNUSED_FOLDERS = frozenset({"tests", "benchmarks", "__pycache__"})
# Chalice's routing needs these two; the rest is its command line, a quarter of the layer's files.
CHALICE_RUNTIME = frozenset({"__init__.py", "app.py"})


class BuildFailed(RuntimeError):  # noqa: N818 - a name, not a grade
    """The layer could not be built; the message ends with pip's own last lines."""


@dataclass(frozen=True)
class LayerTarget:
    """The Python and the machine that will import the layer. `machine` as wheels name it: aarch64 or x86_64."""

    python_version: str
    machine: str
    is_host: bool = False

    @property
    def runtime(self) -> str:
        """Lambda's name of the Python."""
        return f"python{self.python_version}"

    @property
    def architecture(self) -> str:
        """Lambda's name of the machine."""
        return "arm64" if self.machine in {"aarch64", "arm64"} else self.machine

    @classmethod
    def for_lambda(cls, runtime: str, architecture: str) -> LayerTarget:
        """Return the target of the template's parameters PythonRuntime and Architecture."""
        if architecture not in MACHINE_OF_ARCHITECTURE or not runtime.startswith("python3."):
            raise BuildFailed(f"no target {runtime} on {architecture}: use python3.N and arm64 or x86_64")
        return cls(runtime.removeprefix("python"), MACHINE_OF_ARCHITECTURE[architecture])

    @classmethod
    def for_this_host(cls) -> LayerTarget:
        """Return the interpreter and the machine that run this line."""
        return cls(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine(), is_host=True)


def build_third_party_layer(requirements: Path, target: LayerTarget, cache_dir: Path) -> Path:
    """Return the zip of the layer, from the cache when these requirements were built for this target before.

    A build appears in the cache in one step, so that a cut download leaves nothing behind that looks whole.

    Raises:
        BuildFailed: pip could not install; a second call tries again.
    """
    finished = cache_dir / f"third_party-{_key_of(requirements, target)}.zip"
    if finished.is_file():
        return finished
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="building-") as scratch:
        folder = Path(scratch) / "layer"
        install_third_party(requirements, target, folder / "python")
        unfinished = Path(scratch) / "layer.zip"
        write_zip(folder, unfinished)
        unfinished.replace(finished)
    return finished


def install_third_party(requirements: Path, target: LayerTarget, folder: Path) -> None:
    """Install the pinned packages into a folder and remove what no function reads."""
    run_pip([*_target_flags(target), "--target", str(folder), "--requirement", str(requirements)])
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for path in (folder / "chalice").iterdir():
        if path.name not in CHALICE_RUNTIME:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [path for path in folder.rglob("*") if path.is_dir() and path.name in UNUSED_FOLDERS]:
        shutil.rmtree(path, ignore_errors=True)
    if target.is_host:
        compile_for_host(folder)


def compile_for_host(folder: Path) -> None:
    """Compile a layer for this interpreter: without it every cold start compiles all that it imports.

    Unchecked hashes instead of file times: the layer is unpacked with other times than it was built with.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, workers=1, stripdir=str(folder), invalidation_mode=mode)


def run_pip(arguments: Sequence[str]) -> None:
    """Install wheels without a resolver: the lists are complete, and nothing is compiled here."""
    command = [sys.executable, "-m", "pip", "install", *PIP_FLAGS, *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PIP_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"pip did not finish within {PIP_SECONDS_MAX} s: is its index reachable?") from error
    if result.returncode:
        tail = "\n".join(result.stderr.strip().splitlines()[-PIP_LINES_SHOWN:])
        raise BuildFailed(f"pip could not install the third-party layer:\n{tail}")


def _target_flags(target: LayerTarget) -> list[str]:
    if target.is_host:
        return []
    names = OLD_PLATFORMS if target.python_version == PYTHON_ON_OLD_PLATFORM else NEW_PLATFORMS
    platforms = [flag for name in names for flag in ("--platform", f"{name}_{target.machine}")]
    return ["--implementation", "cp", "--python-version", target.python_version, *platforms]


def _key_of(requirements: Path, target: LayerTarget) -> str:
    system = [sys.platform, *platform.libc_ver(), str(sys.implementation.cache_tag)] if target.is_host else ["aws"]
    text = " ".join([RECIPE, target.python_version, target.machine, *system])
    return hashlib.sha256(text.encode() + b"\n" + requirements.read_bytes()).hexdigest()[:16]
