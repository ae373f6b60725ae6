"""The third-party layer as it is shipped: the right machine, the right Python, complete, small."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local_runtime.build import LayerTarget, build_third_party_layer, install_third_party
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY, LocalSettings
from scripts.build import build_for_aws

REQUIREMENTS = REPOSITORY / "layers/third_party/requirements.txt"
PACKED_BYTES_MAX = 30_000_000  # what a cold start has to fetch; it is 6 MB
ELF_MACHINES = {"arm64": 183, "x86_64": 62}  # EM_AARCH64, EM_X86_64
MACHINE_OFFSET = 18  # of e_machine in an ELF header, two bytes, little-endian in both
ABI = re.compile(r"\.(?:cpython-(?P<tag>\d+)-(?P<machine>\w+?)-linux-gnu|abi3)\.so$")
IMPORTS = (
    "aws_lambda_powertools",
    "aws_lambda_powertools.utilities.parameters",
    "backports.zstd",
    "certifi",
    "chalice.app",
    "clickhouse_connect",
    "crc32c",
    "jmespath",
    "kafka",
    "lz4.frame",
    "msgspec",
    "urllib3",
)
DEFAULTS = read_template(REPOSITORY / "template.yaml")["Parameters"]


def built(target: LayerTarget) -> Path:
    return build_third_party_layer(REQUIREMENTS, target, LocalSettings.from_env().build_cache_dir)


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_every_library_is_for_the_target_and_not_for_this_machine(architecture: str) -> None:
    runtime = DEFAULTS["PythonRuntime"]["Default"]
    python_tag = runtime.removeprefix("python").replace(".", "")
    target = LayerTarget.for_lambda(runtime, architecture)
    with zipfile.ZipFile(built(target)) as layer:
        libraries = {name: layer.read(name) for name in layer.namelist() if ".so" in Path(name).suffixes}

    assert len(libraries) >= 8, "msgspec, crc32c, lz4, zstd and clickhouse-connect are compiled"
    for name, content in libraries.items():
        assert content[:4] == b"\x7fELF", name
        machine = int.from_bytes(content[MACHINE_OFFSET : MACHINE_OFFSET + 2], "little")
        assert machine == ELF_MACHINES[architecture], name
        tag = ABI.search(name)
        assert tag, f"{name} does not say for which Python it is"
        assert tag["tag"] in {None, python_tag}, name
        assert tag["machine"] in {None, target.machine}, name


def test_the_layer_is_small_and_carries_neither_tests_nor_boto3() -> None:
    packed = built(LayerTarget.for_lambda(DEFAULTS["PythonRuntime"]["Default"], DEFAULTS["Architecture"]["Default"]))
    with zipfile.ZipFile(packed) as layer:
        names = layer.namelist()

    assert packed.stat().st_size < PACKED_BYTES_MAX
    assert all(name.startswith("python/") for name in names)
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]
    assert not [name for name in names if name.startswith(("python/boto", "python/pip", "python/bin"))]


def test_the_layer_is_complete(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(LayerTarget.for_this_host())) as layer:
        layer.extractall(tmp_path)
    # -I -S: nothing but the standard library and what stands in the layer.
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'python')!r})\nimport " + ", ".join(
        name for name in IMPORTS if not name.endswith("parameters")
    )

    result = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_a_second_build_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    first = built(LayerTarget.for_this_host())
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    assert built(LayerTarget.for_this_host()) == first


def test_the_tree_for_sam_deploy_is_complete(tmp_path: Path) -> None:
    target = LayerTarget.for_lambda(DEFAULTS["PythonRuntime"]["Default"], DEFAULTS["Architecture"]["Default"])

    line = build_for_aws(REPOSITORY, target, LocalSettings.from_env().build_cache_dir, tmp_path / "out")

    template = read_template(tmp_path / "out" / "template.yaml")
    folders = [
        resource["Properties"].get("CodeUri") or resource["Properties"]["ContentUri"]
        for resource in template["Resources"].values()
        if resource["Type"] in {"AWS::Serverless::Function", "AWS::Serverless::LayerVersion"}
    ]
    assert len(folders) == 11  # nine functions, two layers
    shipped = {path.name for path in (tmp_path / "out/functions/setup/migrations").glob("*.sql")}
    assert shipped == {path.name for path in (REPOSITORY / "schema/migrations").glob("*.sql")}
    for folder in folders:
        expected = "python" if folder.startswith("layers") else "app.py"
        assert (tmp_path / "out" / folder / expected).exists(), folder
    assert "arm64" in line
    assert "python3.13" in line


def test_sam_build_and_make_build_leave_the_same_layer(tmp_path: Path) -> None:
    target = LayerTarget.for_lambda(DEFAULTS["PythonRuntime"]["Default"], DEFAULTS["Architecture"]["Default"])
    install_third_party(REQUIREMENTS, target, tmp_path / "ours" / "python")

    subprocess.run(
        ["make", "-C", str(REQUIREMENTS.parent), "build-ThirdPartyLayer"],
        env=os.environ | {"ARTIFACTS_DIR": str(tmp_path / "sam"), "PYTHON": sys.executable},
        check=True,
        capture_output=True,
    )

    assert digests(tmp_path / "sam") == digests(tmp_path / "ours")


def digests(folder: Path) -> dict[str, str]:
    # pip notes in these files what it was asked and in which order it wrote.
    differing = {"RECORD", "REQUESTED", "direct_url.json"}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in differing
    }
