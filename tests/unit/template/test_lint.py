"""AWS's own checkers pass over every template."""

import os
import subprocess
from pathlib import Path

from local_runtime.settings import REPOSITORY
from scripts.deploy.stacks import BUILT_TEMPLATE, STACKS
from tests.aws_tools import find_aws_tool

LINT_SECONDS_MAX = 120


def run(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "SAM_CLI_TELEMETRY": "0",
        "HOME": str(tmp_path),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LINT_SECONDS_MAX,
    )


def test_sam_validates_the_template(tmp_path: Path) -> None:
    sam = str(find_aws_tool("sam"))

    result = run(tmp_path, sam, "validate", "--lint", "--template", str(REPOSITORY / "template.yaml"))

    assert result.returncode == 0, result.stdout + result.stderr


def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    cfn_lint = str(find_aws_tool("cfn-lint"))

    beside = [REPOSITORY / kind.template for kind in STACKS.values() if kind.template != BUILT_TEMPLATE]
    templates = [REPOSITORY / "template.yaml", *beside]

    result = run(tmp_path, cfn_lint, "--non-zero-exit-code", "informational", *map(str, templates))

    assert result.returncode == 0, result.stdout + result.stderr
