"""Where AWS's own checkers are: in the environment that `make test` builds for them, else on the PATH."""

import platform
import shutil
from pathlib import Path

from local_runtime.settings import REPOSITORY

AWS_TOOLS_VENV = REPOSITORY / ".tallystream" / "venvs" / "aws_tools"


def find_aws_tool(name: str) -> Path:
    """Return the path of `sam`, `cfn-lint` or the `python` beside them."""
    found = next((path for path in (AWS_TOOLS_VENV / "bin" / name,) if path.exists()), None)
    if found is None and name == "python":
        found = find_aws_tool("sam").parent / name
    on_path = shutil.which(name) if found is None else None
    assert found or on_path, f"{name} is neither in {AWS_TOOLS_VENV} nor on the PATH: run `make test`"
    return found or Path(str(on_path))


def find_interface_emulator() -> Path:
    """Return AWS's Runtime Interface Emulator for this machine, as aws-sam-cli ships it."""
    machine = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    pattern = f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    found = list(find_aws_tool("sam").parent.parent.glob(pattern))
    assert found, f"aws-sam-cli has no {pattern}"
    return found[0]
