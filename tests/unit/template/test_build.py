"""The layer's cache, its zips and the package of the template, without a network."""

import zipfile
from pathlib import Path

import pytest

from local_runtime import build
from local_runtime.build import BuildFailed, LayerTarget, build_third_party_layer
from local_runtime.deploy_gateway import resolve
from local_runtime.deploy_package import PackagedTemplate
from local_runtime.zip_files import write_zip, zip_source

AWS = LayerTarget.for_lambda("python3.13", "arm64")


def test_a_built_layer_is_taken_from_the_cache(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("nothing==1\n")
    cached = tmp_path / f"third_party-{build._key_of(requirements, AWS)}.zip"
    cached.write_bytes(b"built before")

    assert build_third_party_layer(requirements, AWS, tmp_path).read_bytes() == b"built before"


def test_other_requirements_and_other_targets_are_other_builds(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("one==1\n")
    targets = [
        AWS,
        LayerTarget.for_lambda("python3.13", "x86_64"),
        LayerTarget.for_lambda("python3.12", "arm64"),
        LayerTarget.for_this_host(),
    ]
    keys = {build._key_of(requirements, target) for target in targets}
    requirements.write_text("one==2\n")

    assert len(keys | {build._key_of(requirements, AWS)}) == len(targets) + 1


def test_a_cut_download_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package-of-ours==1\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(BuildFailed, match="no-such-package-of-ours"):
        build_third_party_layer(requirements, AWS, tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("runtime", "architecture"), [("python3.13", "sparc"), ("nodejs22.x", "arm64")])
def test_an_unknown_target_is_refused_by_name(runtime: str, architecture: str) -> None:
    with pytest.raises(BuildFailed, match=f"{runtime} on {architecture}"):
        LayerTarget.for_lambda(runtime, architecture)


def test_the_same_files_give_the_same_zip_whatever_their_times(tmp_path: Path) -> None:
    import os

    source = tmp_path / "source"
    (source / "__pycache__").mkdir(parents=True)
    (source / "app.py").write_text("x = 1\n")
    first = zip_source(source, "python/")
    os.utime(source / "app.py", (1, 1))
    (source / "__pycache__" / "app.pyc").write_bytes(b"left by a run")

    second = zip_source(source, "python/")

    assert first == second
    write_zip(source, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["__pycache__/app.pyc", "app.py"]


def test_a_large_template_goes_by_url_and_a_small_one_by_text() -> None:
    template = PackagedTemplate(body="x" * 100, bucket="bucket", key="template-1.json")

    assert template.at("http://127.0.0.1:4566") == {"TemplateBody": "x" * 100}
    assert template.at("http://127.0.0.1:4566", body_bytes_max=99) == {
        "TemplateURL": "http://127.0.0.1:4566/bucket/template-1.json"
    }


def test_parameters_decide_what_a_part_of_the_template_says() -> None:
    conditions = {"IsOff": {"Fn::Equals": [{"Ref": "Cors"}, ""]}}
    origin = {"Fn::If": ["IsOff", "'none'", {"Fn::Sub": "'${Cors}'"}]}

    assert resolve({"a": [origin]}, {"Cors": ""}, conditions) == {"a": ["'none'"]}
    assert resolve(origin, {"Cors": "https://page.example"}, conditions) == "'https://page.example'"
    assert resolve({"Ref": "OtherResource"}, {}, conditions) == {"Ref": "OtherResource"}
