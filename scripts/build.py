"""`make build`: what `sam deploy` uploads to AWS, laid out under `.aws-sam/build`.

Needs neither SAM nor Docker nor the target's machine: wheels are fetched for it, and the rest is plain Python.
The folder has the repository's own layout, so `template.yaml` is copied as it stands and its paths hold.
"""

import argparse
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local_runtime.build import BuildFailed, LayerTarget, build_third_party_layer
from local_runtime.sam_template import read_template
from local_runtime.settings import LocalSettings

OUTPUT: Final = Path(".aws-sam/build")  # where `sam deploy` looks first
UNPACKED_BYTES_MAX: Final = 250 * 1024 * 1024  # Lambda's limit for a function and its layers together
MEGABYTE: Final = 1_000_000
SOURCE_FOLDERS: Final = ("functions", "layers/event_analytics/python")
THIRD_PARTY: Final = Path("layers/third_party")


def build_for_aws(repository: Path, target: LayerTarget, cache_dir: Path, output: Path) -> str:
    """Write the deployable tree for a target and return one line on its size.

    Raises:
        BuildFailed: the layer cannot be built, or is larger than Lambda takes.
    """
    layer = build_third_party_layer(repository / THIRD_PARTY / "requirements.txt", target, cache_dir)
    shutil.rmtree(output, ignore_errors=True)
    for folder in SOURCE_FOLDERS:
        shutil.copytree(repository / folder, output / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(layer) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
        if unpacked_bytes > UNPACKED_BYTES_MAX:
            raise BuildFailed(f"the layer unpacks to {unpacked_bytes:,} bytes; Lambda takes {UNPACKED_BYTES_MAX:,}")
        archive.extractall(output / THIRD_PARTY)
    shutil.copy2(repository / "template.yaml", output / "template.yaml")
    sizes = f"{layer.stat().st_size / MEGABYTE:.1f} MB packed, {unpacked_bytes / MEGABYTE:.1f} MB unpacked"
    return f"{output}: {target.runtime} on {target.architecture}, third-party layer {sizes}"


def read_arguments(arguments: Sequence[str] | None, repository: Path) -> argparse.Namespace:
    """The command line; runtime and architecture default to the template's parameters of the same name."""
    parameters = read_template(repository / "template.yaml")["Parameters"]
    parser = argparse.ArgumentParser(prog="make build", description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", default=parameters["PythonRuntime"]["Default"])
    parser.add_argument("--architecture", default=parameters["Architecture"]["Default"])
    parser.add_argument(
        "--host", action="store_true", help="for this machine's Python, with which an emulator runs them"
    )
    parser.add_argument("--output", type=Path, default=repository / OUTPUT)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, say what came out and what to type next."""
    settings = LocalSettings.from_env()
    given = read_arguments(arguments, settings.repository)
    try:
        target = (
            LayerTarget.for_this_host() if given.host else LayerTarget.for_lambda(given.runtime, given.architecture)
        )
        line = build_for_aws(settings.repository, target, settings.build_cache_dir, given.output)
    except BuildFailed as failure:
        print(f"BuildFailed: {failure}", file=sys.stderr)
        return 1
    print(line)
    print("next: make deploy STAGE=name ARGS='--built .aws-sam/build/template.yaml', or sam deploy --guided")
    return 0


if __name__ == "__main__":
    sys.exit(main())
